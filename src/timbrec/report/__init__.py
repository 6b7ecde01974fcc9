"""The report: figures in, one self-contained HTML file out."""

from timbrec.report.data import ReportData
from timbrec.report.page import Drawing, draw_figures, write_report

__all__ = ["Drawing", "ReportData", "draw_figures", "write_report"]
