"""The report of an evaluation: report.json, and a page that is one file."""
