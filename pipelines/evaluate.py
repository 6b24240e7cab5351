"""Measures a model beside simpler ways to do the same, on sounds that it was not trained on.

python -m pipelines.evaluate --model runs/A                         # on its own validation split
python -m pipelines.evaluate --model runs/A --held-out ~/NewPack --out report
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from pipelines.console.exit_codes import run_command
from pipelines.console.messages import put, say
from sst.errors import UsageError


def parser() -> argparse.ArgumentParser:
    """Returns the options."""
    options = argparse.ArgumentParser(
        prog="python -m pipelines.evaluate",
        description="Measures a model beside simpler ways to do the same, on sounds that it was "
        "not trained on. Writes a page to look at and listen to, and the figures as JSON.",
        allow_abbrev=False,
    )
    add = options.add_argument
    add("--model", default="model_test", help="a run directory or a shipped model's name")
    add("--dataset", help="sample_library/NAME; default: the one it was trained on")
    add("--data-dir", help="default: the run's, TFDS_DATA_DIR or ~/tensorflow_datasets")
    add(
        "--held-out",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="sounds never trained on; default: the dataset's validation split",
    )
    add("--classes", metavar="FILE.json", help="which folder labels are which class; others: none")
    add("--limit", type=int, metavar="N", help="at most N held-out sounds, chosen at random")
    add("--seed", type=int, default=0, help="of every random choice (default: 0)")
    add("--no-samplevae", action="store_true", help="do not train the SampleVAE-like model")
    add("--out", default="report", metavar="DIR", help="where to write (default: report)")
    add("--debug", action="store_true", help="show the traceback of an error")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; raises sst.errors.UserError for what the user can mend."""
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = parser().parse_args(given)
    if arguments.limit is not None and arguments.limit < 1:
        raise UsageError(f"--limit {arguments.limit}: give at least 1.")
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed}: give 0 or more.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's remarks about cached programs
    from sst.evaluation.run import Request, evaluate  # Imported here: JAX takes seconds
    from sst.report import write

    write.check_place(arguments.out)
    request = Request(
        model=arguments.model,
        dataset=arguments.dataset,
        data_dir=arguments.data_dir,
        held_out=tuple(arguments.held_out),
        classes=arguments.classes,
        limit=arguments.limit,
        seed=arguments.seed,
        command=shlex.join(["python", "-m", "pipelines.evaluate", *given]),
    )
    if arguments.no_samplevae:
        request = request._replace(sample_vae_steps=0)
    result = evaluate(request, say)
    figures, page = write.write(arguments.out, result.report, result.exhibits, result.audio)
    for line in summary(result.report):
        put(f"{line}\n")
    say(f"wrote {page} and {figures}")
    return 0


def summary(report: dict[str, Any]) -> list[str]:
    """Returns the figures that have a goal, one line each."""
    lines = []
    for goal in report["goals"]:
        section = report["sections"][goal["section"]]
        quantity = section["quantities"][goal["quantity"]]
        figure, digits, unit = goal["figure"], quantity["digits"], quantity["unit"]
        value = "-" if figure["value"] is None else f"{figure['value']:.{digits}f} {unit}".strip()
        interval = ""
        if figure["low"] is not None:
            high = "inf" if figure["high"] is None else f"{figure['high']:.{digits}f}"
            interval = f"[{figure['low']:.{digits}f}, {high}]"
        words = {True: "met", False: "missed", None: figure.get("reason", "not measured")}
        goal_text = f"goal {goal['relation']} {goal['goal']:g}"
        name = f"{section['title']}: {quantity['title']}"
        lines.append(f"{name:42} {value:>14}  {interval:18} {goal_text:14} {words[goal['met']]}")
    return lines


if __name__ == "__main__":
    sys.exit(run_command(main))
