"""`library scan` and `library status`: the index of a library."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.console.messages import printable, put
from pipelines.console.skipped import fail_if_strict
from pipelines.library_session import library_encoder, open_library_session
from sst.errors import ModelError, NothingToDo
from sst.files import absolute

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.library.embed_files import Encoder
    from sst.library.rows import Rows
    from sst.search.searcher import Searcher


def library(arguments: argparse.Namespace) -> None:
    """Runs the chosen action on a library."""
    from pipelines.commands.doctor import doctor
    from pipelines.commands.duplicates import duplicates
    from pipelines.commands.export import export

    actions = {"scan": scan, "status": status, "export": export}
    actions |= {"duplicates": duplicates, "doctor": doctor}
    actions[arguments.action](arguments)


def scan(arguments: argparse.Namespace) -> None:
    """Builds the index or brings it up to date, and prints its contents."""
    session = open_library_session(arguments, arguments.prune)
    facts = _status(arguments, session.report.folder, session.rows, session.searcher)
    _put_facts(arguments, facts)
    fail_if_strict(arguments, session.report.skipped)


def status(arguments: argparse.Namespace) -> None:
    """Prints the contents of the index and what has changed since; changes nothing."""
    from sst.library import rows as index_rows
    from sst.library import scan as library_scan
    from sst.search.scann_index import DamagedIndex

    encoder = library_encoder(arguments)
    folder = library_scan.index_folder(arguments.library_dir, encoder)
    if not index_rows.index_exists(folder):
        raise NothingToDo(
            "There is no index of this library for this model yet: sst library scan"
            f" --library-dir {' '.join(arguments.library_dir)}"
        )
    try:
        if arguments.skipped:
            _put_skipped(folder)
        else:
            _put_facts(arguments, _status_with_changes(arguments, encoder, folder))
    except DamagedIndex as error:
        raise ModelError(
            f"The index is damaged ({error}); sst library scan builds it again."
        ) from None


def _status_with_changes(
    arguments: argparse.Namespace, encoder: "Encoder", folder: Path
) -> dict[str, Any]:
    from sst.library import rows as index_rows
    from sst.library import scan as library_scan
    from sst.search import searcher as searchers

    difference = library_scan.count_pending(encoder, arguments.library_dir)
    pending = dict(zip(("new", "changed", "gone"), difference, strict=True))
    rows = index_rows.read_rows(folder)
    searcher = searchers.open_or_build(folder, rows.vectors, arguments.engine)
    return _status(arguments, folder, rows, searcher) | {"since the last scan": pending}


def _put_skipped(folder: Path) -> None:
    from sst.library import rows as index_rows

    rows = index_rows.list_skipped(folder)
    rows += [(path, "partly used", detail) for path, detail in index_rows.list_partly_used(folder)]
    put("".join(f"{reason}\t{detail}\t{path}\n" for path, reason, detail in rows))


def _status(
    arguments: argparse.Namespace, folder: Path, rows: "Rows", searcher: "Searcher"
) -> dict[str, Any]:
    from sst.library import rows as index_rows
    from sst.model import export_format

    held = index_rows.count_contents(folder)
    saved = export_format.load_model(export_format.find_model(arguments.model))
    return {
        "folders": [absolute(folder) for folder in arguments.library_dir],
        "files": held.files,
        "sounds": len(rows.paths),
        "different sounds": len(set(rows.digests)),
        "skipped": held.skipped,
        "partly used": len(index_rows.list_partly_used(folder)),
        "missing": held.missing,
        "bytes of the files": held.size,
        "model": f"{arguments.model} ({saved.config.name}, {saved.digest})",
        "engine": searcher.engine,
        "recall of the 10 nearest": round(searcher.recall, 4),
        "index": str(folder),
        "bytes of the index": index_rows.measure_size(folder),
    }


def _put_facts(arguments: argparse.Namespace, facts: dict[str, Any]) -> None:
    if arguments.format == "json":
        put(json.dumps(facts, indent=1) + "\n")
        return
    width = max(map(len, facts))
    lines = (f"{name:{width}}  {printable(_plain(name, value))}\n" for name, value in facts.items())
    put("".join(lines))


def _plain(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n:,} {what}" for what, n in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value)
    if name.startswith("bytes"):
        return f"{value:,} ({value / 1e6:.1f} MB)"
    return f"{value:,}" if isinstance(value, int) else str(value)
