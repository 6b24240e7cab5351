"""Errors that a user can mend. Each class carries the exit code of its kind."""


def plural(n: int, noun: str) -> str:
    """Returns the count with its noun, as messages have it: `1 file`, `2 files`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


class UserError(Exception):
    """An error that is not a bug: the message says what is wrong, where, and what to do."""

    exit_code = 1


class UsageError(UserError):
    """Wrong options or a wrong configuration."""

    exit_code = 2


class NothingToDo(UserError):
    """No input that could be worked on: no folder, no audio, nothing readable."""

    exit_code = 3


class ModelError(UserError):
    """A model, checkpoint or dataset that is missing, damaged or does not fit."""

    exit_code = 4


class SkippedFiles(UserError):
    """The work is done, but some files were skipped and `--strict` was given."""

    exit_code = 5


class ResourceError(UserError):
    """Disk full, no permission, locked by another process."""

    exit_code = 6


class Interrupted(UserError):
    """Stopped by the user; the state is saved."""

    exit_code = 130
