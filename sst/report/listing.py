"""A page that lists files, each with a link and a player; one file, no script, no network."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sst.files import to_text
from sst.report.style import STYLE

MAX_PLAYERS = 1000  # files on a page; with more, a browser is slow, and there are links only


class Entry(NamedTuple):
    """One file."""

    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    name: str  # as it is shown
    cells: list[str]


class Section(NamedTuple):
    """Files with something in common."""

    title: str
    note: str
    columns: list[str]  # of the cells
    entries: list[Entry]


def listing(title: str, intro: str, sections: Sequence[Section]) -> str:
    """Renders the page as HTML; its players read the files from where they are."""
    players = sum(len(section.entries) for section in sections) <= MAX_PLAYERS
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1><p>{_text(intro)}</p>",
        *(_section(section, players) for section in sections),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(section: Section, players: bool) -> str:
    heads = "".join(f"<th>{_text(name)}</th>" for name in [*section.columns, ""])
    rows = "".join(_row(entry, players) for entry in section.entries)
    return (
        f"<h2>{_text(section.title)}</h2><p>{_text(section.note)}</p>"
        f'<div class="scroll"><table class="files"><thead><tr><th>file</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(entry: Entry, players: bool) -> str:
    link = html.escape(Path(entry.path).as_uri())
    cells = "".join(f"<td>{_text(cell)}</td>" for cell in entry.cells)
    player = f'<audio controls preload="none" src="{link}"></audio>' if players else ""
    name = _text(to_text(entry.name))
    return f'<tr><td><a href="{link}">{name}</a></td>{cells}<td>{player}</td></tr>'


def _text(value: object) -> str:
    return html.escape(str(value))
