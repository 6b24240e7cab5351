"""The end of every command: an exit code, and one sentence if it failed.

Exit codes: 0 done, 1 a bug, 2 wrong usage, 3 nothing to work on, 4 model missing or unfit, 5 some
files skipped with --strict, 6 disk or permission, 130 interrupted.
"""

import contextlib
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import sst
from pipelines.console.messages import say
from sst.errors import ResourceError, UserError

_OURS = (Path(__file__).resolve().parents[1], Path(sst.__file__).resolve().parent)
_RESOURCES = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE}


def run_command(
    command: Callable[[list[str]], int | None], argv: Sequence[str] | None = None
) -> int:
    """Runs a command and returns its exit code; errors are one sentence (all of it: --debug)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        with _warnings_as_sentences(debug):
            code = command(arguments) or 0
            sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: --help, --version and wrong options
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        _discard_stdout()
        return 0
    except KeyboardInterrupt:
        say("Stopped. What was done is kept; the same command continues from there.")
        return 130
    except Exception as error:  # the boundary: here every failure gets its code
        if debug:
            traceback.print_exc()
        problem = _explain(error)
        say(str(problem))
        return problem.exit_code


def _explain(error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return ResourceError("Out of memory.")
    if isinstance(error, OSError) and error.errno in _RESOURCES:
        where = f" ({error.filename})" if error.filename else ""
        return ResourceError(f"{error.strerror}{where}.")
    first = (str(error).splitlines() or [""])[0]
    return UserError(
        f"This is a bug in SST: {type(error).__name__}: {first[:300]} (--debug shows where)"
    )


@contextlib.contextmanager
def _warnings_as_sentences(debug: bool) -> Iterator[None]:
    """Prints our own warnings in one line, those of libraries only with --debug."""
    with warnings.catch_warnings():
        warnings.simplefilter("always" if debug else "default")
        if not debug:
            warnings.showwarning = _show_ours
        yield


def _show_ours(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    place = Path(os.path.realpath(filename))
    if issubclass(category, UserWarning) and any(map(place.is_relative_to, _OURS)):
        say(f"Note: {message}.")


def _discard_stdout() -> None:
    """Sends to /dev/null what Python flushes to stdout at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
