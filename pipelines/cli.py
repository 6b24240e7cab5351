"""The console script `sst`: all commands under one name."""

import sys
from collections.abc import Sequence

from pipelines.console.exit_codes import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `sst COMMAND ...` and returns its exit code."""
    return run_command(_dispatch, argv)


def _dispatch(arguments: list[str]) -> int | None:
    if arguments[:1] == ["train"]:
        from pipelines import train

        return train.main(arguments[1:])
    if arguments[:1] == ["evaluate"]:
        from pipelines import evaluate

        return evaluate.main(arguments[1:])
    from pipelines import infer

    return infer.run(arguments, prog="sst")


if __name__ == "__main__":
    sys.exit(main())
