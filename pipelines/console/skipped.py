"""Skipped files: the note with their counts, and the error of --strict."""

import argparse

from sst.errors import SkippedFiles


def skipped_note(skipped: dict[str, int]) -> str:
    """Returns the end of a sentence: `; 3 skipped: 2 unreadable, 1 empty`, or nothing."""
    if not skipped:
        return ""
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(skipped.items()))
    return f"; {sum(skipped.values()):,} skipped: {reasons}"


def fail_if_strict(arguments: argparse.Namespace, skipped: dict[str, int]) -> None:
    """Raises SkippedFiles where files were skipped and --strict forbids that."""
    if arguments.strict and skipped:
        raise SkippedFiles(f"--strict: {skipped_note(skipped).removeprefix('; ')}.")
