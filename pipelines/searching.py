"""`similar`: the sounds of a library that are nearest to a file."""

import argparse
import sys
from pathlib import Path

from pipelines.libraries import opened_session
from pipelines.narration import plural, put, say
from pipelines.skips import strict
from sst.errors import UsageError


def similar(arguments: argparse.Namespace) -> None:
    """Prints, and copies, the sounds nearest to each target."""
    if not arguments.targets:
        raise UsageError("Give the target before --library-dir: similar kick.wav --library-dir DIR")
    from pipelines import results
    from sst import similar as sounds

    session = opened_session(arguments)
    answers = []
    for target in arguments.targets:
        hits = sounds.find(session, target, arguments.num_similar, arguments.include_self)
        answers.append(results.Answer(target, hits))
    fewest = min(len(answer.hits) for answer in answers)
    if fewest < arguments.num_similar:
        say(f"The library has only {plural(fewest, 'other sound')}.")
    format_ = arguments.format or ("table" if sys.stdout.isatty() else "paths")
    if arguments.copy_to:
        folder = Path(arguments.copy_to).expanduser()
        copies = results.copy(answers, folder, arguments.overwrite)
        say(f"copied {plural(len(copies), 'sound')} to {folder}")
    put(results.text(answers, format_, arguments.library_dir))
    if format_ == "table" and not arguments.copy_to:
        say("Saved nothing. Use --copy-to DIR, --format m3u|csv|json.")
    strict(arguments, session.report.skipped)
