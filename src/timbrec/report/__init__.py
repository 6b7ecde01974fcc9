"""The report: one self-contained HTML file and a CSV beside it."""

from timbrec.report.data import ReportData
from timbrec.report.page import write_report

__all__ = ["ReportData", "write_report"]
