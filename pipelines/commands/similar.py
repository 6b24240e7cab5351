"""`similar`: the sounds of a library nearest to a file or several, or on a path between two."""

import argparse
import collections
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console.messages import put, say
from pipelines.console.skipped import fail_if_strict
from pipelines.library_session import open_library_session
from sst.errors import UsageError, plural
from sst.files import to_text

if TYPE_CHECKING:  # for mypy alone: these take seconds to import
    from pipelines.commands.result_formats import Answer
    from sst.library.hits import Choice
    from sst.library.queries import Query
    from sst.library.session import Session

DEFAULT_STEPS = 8  # sounds on an interpolation path


def similar(arguments: argparse.Namespace) -> None:
    """Prints the sounds nearest to each target, and copies them with --copy-to."""
    _check(arguments)
    from pipelines.commands import result_formats
    from sst.library import hits as library_hits

    choice = _choice(arguments)
    library_hits.check(choice)
    session = open_library_session(arguments)
    answer = _between if arguments.between else _near
    answers = answer(session, arguments, choice)
    _say_if_few_or_far(answers, arguments)
    _say_number_of_hits(session, arguments)
    format_ = arguments.format or ("table" if sys.stdout.isatty() else "paths")
    if arguments.copy_to:
        _copy(answers, session, arguments)
    put(result_formats.text(answers, format_, arguments.library_dir))
    if format_ == "table" and not arguments.copy_to:
        say(
            "Nothing was saved: --copy-to DIR copies the sounds, --format m3u, csv or json is for"
            " other programs."
        )
    fail_if_strict(arguments, session.report.skipped)


def _copy(answers: "list[Answer]", session: "Session", arguments: argparse.Namespace) -> None:
    from pipelines.commands import result_formats

    folder = Path(arguments.copy_to).expanduser()
    of_file = collections.Counter(session.rows.paths)
    cut = frozenset(path for path, count in of_file.items() if count > 1)
    copies = result_formats.copy(answers, folder, arguments.overwrite, cut)
    say(f"copied {plural(len(copies), 'sound')} to {folder}")


def _check(arguments: argparse.Namespace) -> None:
    """Refuses options that do not go together, before anything is indexed."""
    blended = arguments.like or arguments.unlike
    if not (arguments.targets or arguments.like or arguments.between):
        raise UsageError("Give the target before --library-dir: similar kick.wav --library-dir DIR")
    if arguments.between and (arguments.targets or blended or arguments.segment):
        raise UsageError("--between A B: leave out the target, --like, --unlike and --segment.")
    if arguments.steps is not None and not arguments.between:
        raise UsageError("--steps needs --between A B.")
    if blended and (len(arguments.targets) > 1 or arguments.segment):
        raise UsageError("--like and --unlike take one target at most, and no --segment.")
    if arguments.segment and not arguments.library_segmentation:
        raise UsageError("--segment needs --library-segmentation.")


def _choice(arguments: argparse.Namespace) -> "Choice":
    from sst.library import hits as library_hits

    return library_hits.Choice(
        arguments.num_similar,
        arguments.include_self,
        arguments.keep_duplicates,
        arguments.per_folder,
        dict(arguments.aspect),
    )


def _queries(
    session: "Session", arguments: argparse.Namespace, choice: "Choice"
) -> "list[tuple[str, Query]]":
    """Returns a name and a query for each answer to give."""
    from sst.library import session as library_session

    if arguments.like or arguments.unlike:
        likes = [(target, 1.0) for target in arguments.targets] + arguments.like
        signed = likes + [(file, -weight) for file, weight in arguments.unlike]
        name = " ".join(f"{weight:+g}*{to_text(Path(file).name)}" for file, weight in signed)
        return [(name, library_session.make_blend(session, signed))]
    found = []
    for target in arguments.targets:
        if arguments.segment == "all":
            hits = enumerate(library_session.make_hit_queries(session, target, choice), 1)
            found += [(f"{target} #{number}", hit) for number, hit in hits]
        else:
            name = f"{target} #{arguments.segment}" if arguments.segment else target
            query = library_session.make_query(session, target, choice, arguments.segment)
            found.append((name, query))
    return found


def _near(session: "Session", arguments: argparse.Namespace, choice: "Choice") -> "list[Answer]":
    """Returns the sounds nearest to each query."""
    from pipelines.commands import result_formats
    from sst.library import session as library_session

    named = _queries(session, arguments, choice)
    distances = library_session.distance_quantiles(session, choice)
    return [
        result_formats.Answer(name, library_session.find_nearest(session, query, choice, distances))
        for name, query in named
    ]


def _between(session: "Session", arguments: argparse.Namespace, choice: "Choice") -> "list[Answer]":
    """Returns one answer, whose hits lead from one sound to the other."""
    from pipelines.commands import result_formats
    from sst.library import session as library_session

    a, b = arguments.between
    steps = DEFAULT_STEPS if arguments.steps is None else arguments.steps
    hits = library_session.interpolate(session, a, b, steps, choice)
    return [result_formats.Answer(f"{a} to {b}", hits)]


def _say_number_of_hits(session: "Session", arguments: argparse.Namespace) -> None:
    """Names targets of several hits: they were compared as a whole, by their start."""
    from sst.library import queries

    if not arguments.library_segmentation or arguments.segment:
        return
    for target in arguments.targets:
        there = queries.count_hits(session.encoder, session.report.folder, target)
        if there > 1:
            say(f"{to_text(target)} has {there} hits; --segment N or --segment all searches them.")


def _say_if_few_or_far(answers: "list[Answer]", arguments: argparse.Namespace) -> None:
    """Reports that there are few hits, or that none is near."""
    from sst.library import hits as library_hits

    for answer in answers:
        if answer.hits and library_hits.nothing_close(answer.hits):
            of = f" to {to_text(answer.target)}" if len(answers) > 1 else ""
            say(f"Nothing close{of} in this library; these are the nearest.")
    fewest = min(len(answer.hits) for answer in answers)
    if fewest < arguments.num_similar and not (arguments.between or arguments.per_folder):
        say(f"The library has only {plural(fewest, 'other sound')}.")
