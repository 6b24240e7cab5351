"""The library that a command works on: its encoder, and a session that is up to date."""

import argparse
from typing import TYPE_CHECKING

from pipelines.console.messages import say
from pipelines.console.progress import Progress
from pipelines.console.skipped import skipped_note
from sst.errors import UsageError, plural

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from sst.library.embed_files import Encoder
    from sst.library.scan import ScanReport
    from sst.library.session import Session


def library_encoder(arguments: argparse.Namespace) -> "Encoder":
    """Returns the encoder of the model, with the segmentation that the options ask for."""
    from sst.config import SegmentConfig
    from sst.library import session as library_session

    chosen = {"sensitivity": arguments.sensitivity, "min_gap_s": arguments.min_gap}
    given = {name: value for name, value in chosen.items() if value is not None}
    if given and not arguments.library_segmentation:
        raise UsageError("--sensitivity and --min-gap need --library-segmentation.")
    cut = SegmentConfig(**given) if arguments.library_segmentation else None
    return library_session.load_encoder(arguments.model, cut)


def open_library_session(arguments: argparse.Namespace, prune: bool = False) -> "Session":
    """Returns a session over the library, indexed anew where files changed, and reports on that."""
    from sst.library import session as library_session

    encoder = library_encoder(arguments)
    with Progress("Indexing") as progress:
        session = library_session.open_session(
            encoder, arguments.library_dir, arguments.engine, progress, arguments.workers, prune
        )
    _report(session.report)
    return session


def _report(report: "ScanReport") -> None:
    if report.new or report.changed or report.removed:
        say(
            f"{plural(report.found, 'file')}: {report.new - report.moved:,} new,"
            f" {report.changed:,} changed, {report.moved:,} moved,"
            f" {report.removed - report.moved:,} gone{skipped_note(report.skipped)}"
            f" in {report.seconds:.1f} s"
        )
    if report.missing:
        are = "is" if report.missing == 1 else "are"
        share = report.missing / (report.missing + report.found)
        say(
            f"{plural(report.missing, 'file')} ({share:.0%}) {are} missing and left out. Nothing"
            " was removed. If they are deleted for good: sst library scan --prune. If a drive is"
            " unplugged, plug it in."
        )
    if report.closed:
        say(f"{plural(len(report.closed), 'folder')} could not be read: {report.closed[0]}")
