"""Uses a model: new sounds, similar sounds, classes, vectors, and the index of a library.

python -m pipelines.infer generate --out new.wav
python -m pipelines.infer similar kick.wav --library-dir ~/Samples
python -m pipelines.infer classify kick.wav
python -m pipelines.infer embed ~/Samples --out emb.npz
python -m pipelines.infer library scan --library-dir ~/Samples
python -m pipelines.infer demo ~/DemoSounds
"""

import importlib
import os
import sys
from collections.abc import Sequence

from pipelines import options


def run(argv: Sequence[str], prog: str = "python -m pipelines.infer") -> int:
    """Runs one command; raises sst.errors.UserError for what the user can mend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's remarks
    arguments = options.parse(argv, prog)
    # Imported when it is called for, as is everything that takes time in the command: --help is
    # instant.
    module = importlib.import_module(f"pipelines.commands.{arguments.command}")
    getattr(module, arguments.command)(arguments)
    return 0


if __name__ == "__main__":
    from pipelines.console.exit_codes import run_command

    sys.exit(run_command(run))
