"""The report: one self-contained HTML file and a CSV beside it."""
