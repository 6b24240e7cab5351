"""`library`: the index of a library, built, updated and looked at."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from pipelines.commands.caring import doctor, duplicates
from pipelines.console.messages import Progress, plural, put, say, shown
from pipelines.console.skipped import lost, strict
from sst.errors import ModelError, NothingToDo, UsageError


def library(arguments: argparse.Namespace) -> None:
    """Does one of the things that can be done with a library."""
    from pipelines.commands.export import export

    actions = {"scan": scan, "status": status, "export": export}
    actions |= {"duplicates": duplicates, "doctor": doctor}
    actions[arguments.action](arguments)


def scan(arguments: argparse.Namespace) -> None:
    """Builds the index or brings it up to date, and says what it holds."""
    session = opened_session(arguments, arguments.prune)
    facts = _status(arguments, session.report.folder, session.rows, session.searcher)
    _put_facts(arguments, facts)
    strict(arguments, session.report.skipped)


def status(arguments: argparse.Namespace) -> None:
    """Says what the index holds, and what has changed since; changes nothing."""
    from sst.library import rows as index_rows
    from sst.library import scan as library_scan
    from sst.search import searcher as searchers

    encoder = library_encoder(arguments)
    folder = library_scan.index_folder(arguments.library_dir, encoder)
    if not index_rows.exists(folder):
        raise NothingToDo(
            "There is no index of this library for this model yet: sst library scan"
            f" --library-dir {' '.join(arguments.library_dir)}"
        )
    try:
        if arguments.skipped:
            _put_skipped(folder)
            return
        difference = library_scan.pending(encoder, arguments.library_dir)
        pending = dict(zip(("new", "changed", "gone"), difference, strict=True))
        rows = index_rows.rows(folder)
        searcher = searchers.open_or_build(folder, rows.vectors, arguments.engine)
        facts = _status(arguments, folder, rows, searcher) | {"since the last scan": pending}
    except searchers.DamagedIndex as error:
        raise ModelError(
            f"The index is damaged ({error}); sst library scan builds it again."
        ) from None
    _put_facts(arguments, facts)


def _put_skipped(folder: Path) -> None:
    from sst.library import rows as index_rows

    rows = index_rows.skipped(folder)
    rows += [(path, "partly used", detail) for path, detail in index_rows.partly_used(folder)]
    put("".join(f"{reason}\t{detail}\t{path}\n" for path, reason, detail in rows))


def library_encoder(arguments: argparse.Namespace) -> Any:
    """The model as the library's listener, with the way files are cut."""
    from sst.config import SegmentConfig
    from sst.library import session as library_session

    chosen = {"sensitivity": arguments.sensitivity, "min_gap_s": arguments.min_gap}
    given = {name: value for name, value in chosen.items() if value is not None}
    if given and not arguments.library_segmentation:
        raise UsageError("--sensitivity and --min-gap go with --library-segmentation.")
    cut = SegmentConfig(**given) if arguments.library_segmentation else None
    return library_session.encoder(arguments.model, cut)


def opened_session(arguments: argparse.Namespace, prune: bool = False) -> Any:
    """The library, brought up to date with a word on what had changed."""
    from sst.library import session as library_session

    encoder = library_encoder(arguments)
    progress = Progress("Listening")
    try:
        session = library_session.open_session(
            encoder, arguments.library_dir, arguments.engine, progress, arguments.workers, prune
        )
    finally:
        progress.close()
    report = session.report
    if report.new or report.changed or report.removed:
        say(
            f"{plural(report.found, 'file')}: {report.new - report.moved:,} new,"
            f" {report.changed:,} changed, {report.moved:,} moved,"
            f" {report.removed - report.moved:,} gone{lost(report.skipped)}"
            f" in {report.seconds:.1f} s"
        )
    if report.missing:
        share = report.missing / (report.missing + report.found)
        say(
            f"{plural(report.missing, 'file')} ({share:.0%}) are missing and left out. Nothing was"
            " removed. If they are deleted for good: sst library scan --prune. If a drive is"
            " unplugged, plug it in."
        )
    if report.closed:
        say(f"{plural(len(report.closed), 'folder')} could not be read: {report.closed[0]}")
    return session


def _status(
    arguments: argparse.Namespace, folder: Path, rows: Any, searcher: Any
) -> dict[str, Any]:
    from sst.library import rows as index_rows
    from sst.model import export_format

    held = index_rows.contents(folder)
    saved = export_format.load_model(export_format.find_model(arguments.model))
    return {
        "folders": [os.path.abspath(os.path.expanduser(d)) for d in arguments.library_dir],
        "files": held.files,
        "sounds": len(rows.paths),
        "different sounds": len(set(rows.digests)),
        "skipped": held.skipped,
        "partly used": len(index_rows.partly_used(folder)),
        "missing": held.missing,
        "bytes of the files": held.size,
        "model": f"{arguments.model} ({saved.config.name}, {saved.digest})",
        "engine": searcher.engine,
        "recall of the 10 nearest": round(searcher.recall, 4),
        "index": str(folder),
        "bytes of the index": index_rows.size_on_disk(folder),
    }


def _put_facts(arguments: argparse.Namespace, facts: dict[str, Any]) -> None:
    if arguments.format == "json":
        put(json.dumps(facts, indent=1) + "\n")
        return
    width = max(map(len, facts))
    lines = (f"{name:{width}}  {shown(_plain(name, value))}\n" for name, value in facts.items())
    put("".join(lines))


def _plain(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n:,} {what}" for what, n in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value)
    if name.startswith("bytes"):
        return f"{value:,} ({value / 1e6:.1f} MB)"
    return f"{value:,}" if isinstance(value, int) else str(value)
