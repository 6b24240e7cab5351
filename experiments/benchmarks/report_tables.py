"""The tables of an evaluation as Markdown, for the documentation.

python experiments/benchmarks/report_tables.py report/report.json
"""

import json
import sys
from typing import Any


def main() -> None:
    """Prints a table per section, with 95 % intervals."""
    with open(sys.argv[1]) as file:
        report = json.load(file)
    for section in report["sections"].values():
        rows = section.get("rows")
        if not rows:
            continue
        quantities = section["quantities"]
        names = list(quantities)
        print(f"\n### {section['title']}\n")
        heads = [
            f"{q['title']}{', ' + q['unit'] if q['unit'] else ''}" for q in quantities.values()
        ]
        print(f"| | {' | '.join(heads)} |\n|{' --- |' * (len(names) + 1)}")
        for row in rows.values():
            figures = row["figures"]
            cells = [text(figures.get(name), quantities[name]["digits"]) for name in names]
            print(f"| {row['title']} | {' | '.join(cells)} |")


def text(figure: dict[str, Any] | None, digits: int) -> str:
    """Formats a figure with its interval, or a dash."""
    if not figure or figure["value"] is None:
        return "-"
    value = f"{figure['value']:.{digits}f}"
    low, high = figure.get("low"), figure.get("high")
    return (
        value if low is None or high is None else f"{value} [{low:.{digits}f}, {high:.{digits}f}]"
    )


if __name__ == "__main__":
    main()
