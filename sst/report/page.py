"""index.html of a report: one file, no script, nothing loaded from anywhere."""

import html
from collections.abc import Sequence
from typing import Any

from sst.config import AudioConfig
from sst.report.media import Exhibit, audio_uri, spectrogram_uri
from sst.report.style import STYLE

OURS = "model"  # the row whose figures the goals are about
MIN_FRAMES = 24  # width of the narrowest spectrogram
CHART_LEFT, CHART_WIDTH, CHART_LINE = 330, 420, 22  # pixels: start and length of its scale, a row


def render_page(report: dict[str, Any], exhibits: Sequence[Exhibit], audio: AudioConfig) -> str:
    """Renders the page as HTML.

    Args:
        report: the content of report.json.
        exhibits: tables of sounds.
        audio: of the model: the rate of the sounds, and the transform of their pictures.
    """
    name = _text(report["model"]["name"])
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of {name}</title><style>{STYLE}</style></head><body>",
        f"<h1>Evaluation of {name}</h1>",
        _introduction(report),
        _goals(report["goals"], report["sections"]),
        *(_section(section) for section in report["sections"].values() if section["rows"]),
        *(_confusion(table) for table in report["confusion"]),
        *(_exhibit(exhibit, audio) for exhibit in exhibits),
        _absent(report["absent"]),
        _definitions(report["sections"]),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def number(value: float | None, digits: int) -> str:
    """Formats a figure; a dash where there is none."""
    return "&ndash;" if value is None else f"{value:.{digits}f}"


def _introduction(report: dict[str, Any]) -> str:
    model, sounds, run = report["model"], report["sounds"], report["run"]
    held_out = sounds["held_out"]
    facts = [
        f"{held_out['files']:,} held-out files of {held_out['packs']:,} packs",
        f"{sounds['train']['files']:,} training sounds"
        if sounds["train"]
        else "no training sounds",
        f"{model['sample_rate']:,} Hz",
        f"{model['latent_dim']} numbers per sound",
        f"model {model['digest']}",
    ]
    notes = "".join(f"<li>{_text(note)}</li>" for note in report["notes"])
    return (
        f"<p>{' &middot; '.join(_text(fact) for fact in facts)}<br>"
        f'<span class="dim">{_text(run["date"])}, {run["cpu_s"]:.0f} CPU-s on '
        f"{_text(run['machine'])}<br><code>{_text(run['command'])}</code></span></p>"
        "<p>Every figure is measured on sounds that the model was not trained on. Below it are "
        "its 95 % interval, from a cluster bootstrap over packs, and the number of sounds. The "
        "highlighted row is the model; the others are simpler systems.</p>"
        + (f"<ul>{notes}</ul>" if notes else "")
    )


def _goals(goals: Sequence[dict[str, Any]], sections: dict[str, Any]) -> str:
    """Renders the goals and the model's figures, beside the two systems most like it."""
    rows = []
    for goal in goals:
        section = sections[goal["section"]]
        quantity = section["quantities"][goal["quantity"]]
        state = {True: ("met", "met"), False: ("missed", "missed"), None: ("dim", "not measured")}
        style, word = state[goal["met"]]
        others = "".join(
            f"<td>{_cell(_figure(section, name, goal['quantity']), quantity)}</td>"
            for name in ("pca", "samplevae")
        )
        rows.append(
            f"<tr><td>{_text(section['title'])}: {_text(quantity['title'])}</td>"
            f"<td>{_cell(goal['figure'], quantity)}</td>"
            f"<td>{_target(quantity)} {_text(quantity['unit'])}</td>"
            f'<td class="{style}">{word}</td>{others}</tr>'
        )
    heads = "".join(
        f"<th>{name}</th>" for name in ("model", "goal", "", "PCA-64", "SampleVAE-like")
    )
    return f"<h2>Goals</h2>{_table('', heads, rows)}"


def _figure(section: dict[str, Any], row: str, quantity: str) -> dict[str, Any] | None:
    return section["rows"].get(row, {"figures": {}})["figures"].get(quantity)


def _section(section: dict[str, Any]) -> str:
    quantities = section["quantities"]
    heads = "".join(
        f"<th>{_text(q['title'])}<small>{_text(q['unit'])} {_arrow(q)}{_goal(q)}</small></th>"
        for q in quantities.values()
    )
    rows = []
    for name, row in section["rows"].items():
        cells = "".join(
            f"<td>{_cell(row['figures'].get(key), quantity)}</td>"
            for key, quantity in quantities.items()
        )
        style = ' class="ours"' if name == OURS else ""
        note = f"<small>{_text(row['note'])}</small>" if row.get("note") else ""
        rows.append(f"<tr{style}><td>{_text(row['title'])}{note}</td>{cells}</tr>")
    table = _table("", heads, rows)
    return _headed(section, table) + _chart(section) + _per_class(section)


def _chart(section: dict[str, Any]) -> str:
    """Draws the section's first quantity with its intervals, one line per row."""
    key, quantity = next(iter(section["quantities"].items()))
    found = [(row["title"], row["figures"].get(key), name) for name, row in section["rows"].items()]
    found = [(t, f, n) for t, f, n in found if f and f["value"] is not None]
    if len(found) < 2:
        return ""
    top = 1.05 * max(f["high"] or f["value"] for _, f, _ in found) or 1.0
    lines = [_interval(i, *each, top) for i, each in enumerate(found)]
    height, dashed = CHART_LINE * len(found) + 8, ""
    if quantity["goal"] is not None and 0 < quantity["goal"] <= top:
        dashed = "; the dashed line is the goal"
        x = CHART_LEFT + CHART_WIDTH * quantity["goal"] / top
        lines.append(
            f'<line class="met" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height - 4}" '
            'stroke="currentColor" stroke-dasharray="4 3"/>'
        )
    return (
        f'<p class="dim">{_text(" ".join([quantity["title"], quantity["unit"]]).strip())}, from 0, '
        f"with the 95 % interval{dashed}</p>"
        f'<svg viewBox="0 0 780 {height}" width="780" height="{height}" font-size="13" '
        f'fill="currentColor" role="img">{"".join(lines)}</svg>'
    )


def _interval(line: int, title: str, figure: dict[str, Any], name: str, top: float) -> str:
    """Draws a value as a dot on its interval, on a scale from 0 to `top`."""
    ends = (figure["value"], *(figure[end] or figure["value"] for end in ("low", "high")))
    x, low, high = (CHART_LEFT + CHART_WIDTH * end / top for end in ends)
    y, weight = CHART_LINE * line + 14, ' font-weight="600"' if name == OURS else ""
    return (
        f'<text x="{CHART_LEFT - 10}" y="{y + 4}" text-anchor="end"{weight}>{_text(title)}</text>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="currentColor"/>'
        f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="currentColor"/>'
    )


def _per_class(section: dict[str, Any]) -> str:
    tables = []
    for name, row in section["rows"].items():
        if not row.get("per_class") or name != OURS:
            continue
        keys = [k for k in section["quantities"] if any(k in f for f in row["per_class"].values())]
        heads = "".join(f"<th>{_text(section['quantities'][k]['title'])}</th>" for k in keys)
        rows = "".join(
            f"<tr><td>{_text(kind)}</td>"
            + "".join(f"<td>{_cell(figures.get(k), section['quantities'][k])}</td>" for k in keys)
            + "</tr>"
            for kind, figures in sorted(row["per_class"].items())
        )
        tables.append(
            f"<details><summary>{_text(row['title'])}, by class</summary>"
            f"<table><thead><tr><th>class</th>{heads}</tr></thead>{rows}</table></details>"
        )
    return "".join(tables)


def _confusion(table: dict[str, Any]) -> str:
    """Renders counts, the share of each row as the depth of blue, and the share that is right."""
    heads = "".join(f"<th>{_text(name)}</th>" for name in [*table["columns"], "right"])
    rows = []
    for name, counts in zip(table["classes"], table["counts"], strict=True):
        total = sum(counts) or 1
        right = counts[table["columns"].index(name)] if name in table["columns"] else 0
        cells = "".join(
            f'<td style="background: rgb(80 140 255 / {0.75 * n / total:.2f})">{n or ""}</td>'
            for n in counts
        )
        rows.append(f"<tr><td>{_text(name)}</td>{cells}<td>{100 * right / total:.0f} %</td></tr>")
    return _headed(table, _table("heat", heads, rows))


def _exhibit(exhibit: Exhibit, audio: AudioConfig) -> str:
    heads = "".join(f"<th>{_text(name)}</th>" for name in exhibit.columns)
    rows = []
    for caption, waves in exhibit.rows:
        longest = max((len(wave) for wave in waves if wave is not None), default=1)
        frames = max(MIN_FRAMES, audio.frames_of(min(longest, audio.clip_samples)))
        cells = "".join(f"<td>{_player(wave, audio, frames)}</td>" for wave in waves)
        rows.append(f"<tr><td>{_text(caption)}</td>{cells}</tr>")
    return _headed(exhibit._asdict(), _table("sounds", heads, rows))


def _headed(section: dict[str, Any], content: str) -> str:
    return f"<h2>{_text(section['title'])}</h2><p>{_text(section['intro'])}</p>{content}"


def _table(style: str, heads: str, rows: Sequence[str]) -> str:
    """Renders a table whose first column has no head, in a box that scrolls when too wide."""
    return (
        f'<div class="scroll"><table class="{style}"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _player(wave: Any, audio: AudioConfig, frames: int) -> str:
    if wave is None:
        return "&ndash;"
    return (
        f'<img alt="spectrogram" src="{spectrogram_uri(wave, audio, frames)}">'
        f'<audio controls preload="none" src="{audio_uri(wave, audio.sample_rate)}"></audio>'
    )


def _absent(items: Sequence[dict[str, str]]) -> str:
    if not items:
        return ""
    rows = "".join(f"<li>{_text(item['what'])}: {_text(item['why'])}</li>" for item in items)
    return f"<h2>Not measured</h2><ul>{rows}</ul>"


def _definitions(sections: dict[str, Any]) -> str:
    terms = "".join(
        f"<dt>{_text(q['title'])}</dt><dd>{_text(q['definition'])}</dd>"
        for section in sections.values()
        for q in section["quantities"].values()
    )
    return f"<h2>How each figure is defined</h2><dl>{terms}</dl>"


def _cell(figure: dict[str, Any] | None, quantity: dict[str, Any]) -> str:
    if figure is None:
        return "&ndash;"
    digits = quantity["digits"]
    if figure["value"] is None:
        lost = figure["n"] > 0  # it was measured, and is infinite
        word = "lost" if lost else "&ndash;"
        return f'<span class="dim" title="{_text(figure["reason"])}">{word}</span>'
    shown = number(figure["value"], digits)
    if figure["low"] is not None:
        high = "&infin;" if figure["high"] is None else number(figure["high"], digits)
        shown += f"<small>{number(figure['low'], digits)} to {high}</small>"
    return shown + (f"<small>n {figure['n']:,}</small>" if figure["n"] else "")


def _arrow(quantity: dict[str, Any]) -> str:
    return {True: "&darr;", False: "&uarr;", None: ""}[quantity["lower_is_better"]]


def _goal(quantity: dict[str, Any]) -> str:
    if quantity["goal"] is None:
        return ""
    return f" goal {_target(quantity)}"


def _target(quantity: dict[str, Any]) -> str:
    signs = {"<": "&lt;", "<=": "&le;", ">=": "&ge;"}
    return f"{signs[quantity['relation']]} {quantity['goal']:g}"


def _text(value: object) -> str:
    return html.escape(str(value))
