"""Trains a model on a built dataset.

python -m pipelines.train --config experiments/tiny.py --workdir runs/A --dataset sample_library/A
python -m pipelines.train --workdir runs/A          # resumes
"""

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.console.exit_codes import run_command
from pipelines.console.messages import say
from sst import config as configs
from sst.config import Config
from sst.errors import UsageError
from sst.training import workdir as workdirs


def parser() -> argparse.ArgumentParser:
    """Returns the options, besides `--config.a.b VALUE`."""
    options = argparse.ArgumentParser(
        prog="python -m pipelines.train",
        description="Trains a model on a built dataset. Ctrl-C saves; the same command resumes.",
        epilog="Any field of the configuration: --config.optim.batch-size 64 or =64.",
        allow_abbrev=False,
    )
    options.add_argument("--workdir", type=Path, required=True, help="the run's directory")
    options.add_argument(
        "--config", help="a Python file with get_config(); a run that resumes has its own"
    )
    options.add_argument("--dataset", help="sample_library/NAME; a run that resumes has its own")
    options.add_argument("--data-dir", help="default: TFDS_DATA_DIR or ~/tensorflow_datasets")
    options.add_argument(
        "--max-steps", type=int, metavar="N", help="end this session, not the run, at step N"
    )
    options.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; raises sst.errors.UserError for what the user can mend."""
    plain, overrides = split_overrides(sys.argv[1:] if argv is None else argv)
    arguments = parser().parse_args(plain)
    if arguments.max_steps is not None and arguments.max_steps < 1:
        raise UsageError(f"--max-steps {arguments.max_steps}: give at least 1.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's remarks about cached programs
    directory: Path = arguments.workdir
    saved = workdirs.saved_config(directory)
    config = choose_config(arguments.config, overrides, saved, directory)
    source = choose_dataset(arguments.dataset, arguments.data_dir, directory)

    with workdirs.locked(directory):
        from sst import cache
        from sst.data import dataset as datasets
        from sst.training import run  # Imported here: JAX takes seconds

        cache.enable_cache()
        dataset = datasets.load(source["dataset"], config.audio, source["data_dir"], say)
        workdirs.write_json(directory / "config.json", configs.to_dict(config))
        facts = {"fingerprint": dataset.fingerprint, "class_names": dataset.class_names}
        sizes = {"train": dataset.train.size, "validation": dataset.validation.size}
        workdirs.write_json(directory / "dataset.json", source | facts | sizes)
        run.fit(config, dataset, directory, say, arguments.max_steps)
    return 0


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Takes `--config.a.b=v` and `--config.a.b v` out of the arguments."""
    plain: list[str] = []
    overrides: list[tuple[str, str]] = []
    rest = iter(argv)
    for argument in rest:
        if not argument.startswith("--config."):
            plain.append(argument)
            continue
        name, given, value = argument.removeprefix("--config.").partition("=")
        if not given:
            value = next(rest, "")
            if not value or value.startswith("--"):
                raise UsageError(f"{argument} needs a value.")
        overrides.append((name, value))
    return plain, overrides


def choose_config(
    path: str | None, overrides: list[tuple[str, str]], saved: Config | None, directory: Path
) -> Config:
    """Returns the given configuration with its overrides, or the run's own with them."""
    if path is None and saved is None:
        raise UsageError(
            f"No run in {directory}: give --config FILE.py, for example experiments/tiny.py."
        )
    config = saved if path is None else read_config(path)
    assert config is not None
    for name, value in overrides:
        config = configs.override(config, name, value)
    if saved is None or not workdirs.has_checkpoint(directory):
        return config
    return workdirs.reconcile(saved, config, directory)


def read_config(path: str) -> Config:
    """Returns the configuration that the file's get_config() makes."""
    if not Path(path).is_file():
        raise UsageError(f"--config {path}: no such file.")
    try:
        made = runpy.run_path(path)["get_config"]()
    except KeyError:
        raise UsageError(f"--config {path}: it has no function get_config().") from None
    except (SyntaxError, ImportError, TypeError, NameError, AttributeError) as error:
        raise UsageError(f"--config {path}: {type(error).__name__}: {error}.") from error
    if not isinstance(made, Config):
        raise UsageError(f"--config {path}: get_config() should return an sst.config.Config.")
    return made


def choose_dataset(name: str | None, data_dir: str | None, directory: Path) -> dict[str, Any]:
    """Returns `dataset` and `data_dir` (None: where TFDS has it), as given or as in the run."""
    saved = workdirs.read_json(directory / "dataset.json") or {}
    if name is None and not saved:
        raise UsageError(f"No run in {directory}: give --dataset sample_library/NAME.")
    if workdirs.has_checkpoint(directory) and name not in (None, saved["dataset"]):
        raise UsageError(
            f"The run in {directory} trains on {saved['dataset']}, not on {name}. "
            "Give another --workdir."
        )
    place = data_dir or saved.get("data_dir")
    return {
        "dataset": name or saved["dataset"],
        "data_dir": None if place is None else str(Path(place).expanduser().absolute()),
    }


if __name__ == "__main__":
    sys.exit(run_command(main))
