"""The report of an evaluation: report.json, and a page that needs nothing but itself."""
