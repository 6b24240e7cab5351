import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli, evaluate
from pipelines.console import exit_codes
from sst.evaluation import interpolation, waves
from tests import synth, tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    tiny_model.export(folder / "model")
    synth.write_library(folder / "new", per_kind=2, packs=2)
    (folder / "empty").mkdir()
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("mine")
    (folder / "classes.json").write_text('{"kick": "drum"}')
    return folder


@pytest.fixture(scope="module")
def done(root):
    """One evaluation, as `sst evaluate`: exit code, stdout and stderr."""
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    before = interpolation.N_PAIRS, interpolation.N_MIXES, waves.MAX_DRAWS
    interpolation.N_PAIRS, interpolation.N_MIXES, waves.MAX_DRAWS = 2, 2, 12
    options = ["--model", "model", "--held-out", "new", "--classes", "classes.json"]
    try:
        with (
            contextlib.chdir(root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = cli.main(["evaluate", *options, "--limit", "5", "--out", "report"])
    finally:
        interpolation.N_PAIRS, interpolation.N_MIXES, waves.MAX_DRAWS = before
    return code, out.getvalue(), err.getvalue()


def test_figures_on_stdout_and_the_way_on_stderr(done, root):
    code, out, err = done
    assert code == 0
    assert len(out.splitlines()) == 11 and all("goal" in line for line in out.splitlines())
    assert "reading the sounds" in err and str(Path("report") / "index.html") in err
    report = json.loads((root / "report" / "report.json").read_text())
    assert report["sounds"]["held_out"]["files"] == 5
    assert report["run"]["limit"] == 5 and "--limit 5" in report["run"]["command"]
    assert report["sounds"]["held_out"]["classes"].keys() <= {"drum"}
    assert any("--dataset" in item["why"] for item in report["absent"])
    page = (root / "report" / "index.html").read_text()
    assert page.count("<audio") > 10 and "http" not in page


MISTAKES = {
    "no such model": (["--model", "nobody"], 4, "model_test"),
    "no held-out sounds": (["--model", "model"], 2, "--held-out"),
    "no such folder": (["--model", "model", "--held-out", "nowhere"], 2, "nowhere"),
    "an empty folder": (["--model", "model", "--held-out", "empty"], 3, "is empty"),
    "no such classes": (
        ["--model", "model", "--held-out", "new", "--classes", "no.json"],
        2,
        "no.json",
    ),
    "no such dataset": (["--model", "model", "--dataset", "sample_library/x"], 3, "tfds build"),
    "not a dataset": (["--model", "model", "--dataset", "x"], 2, "sample_library/NAME"),
    "a folder with other files": (["--out", "mine"], 2, "other files"),
    "a limit of nothing": (["--limit", "0"], 2, "--limit 0"),
    "a seed below nothing": (["--seed", "-1"], 2, "--seed -1"),
    "a misspelt option": (["--modle", "x"], 2, "--modle"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(name, root, monkeypatch, capsys):
    options, code, word = MISTAKES[name]
    monkeypatch.chdir(root)
    monkeypatch.setenv("TFDS_DATA_DIR", str(root / "data"))
    if "--out" not in options:
        options = [*options, "--out", "new_report"]
    assert exit_codes.run_command(evaluate.main, options) == code
    said = capsys.readouterr()
    assert word in said.err and "Traceback" not in said.err and said.out == ""
    assert not (root / "new_report").exists()


def test_help_starts_fast_and_names_every_option():
    code = (
        "import sys; from pipelines import cli; code = cli.main(['evaluate', '--help']);"
        "assert 'jax' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    for option in ("--model", "--dataset", "--held-out", "--classes", "--limit", "--out"):
        assert option in done.stdout


def test_the_drum_classes_are_those_of_the_published_protocol():
    from sst.evaluation import sounds

    classes = sounds.read_classes(ROOT / "experiments" / "drum_classes.json")
    assert sorted(set(classes.values())) == [
        *("clap", "closed_hat", "cowbell", "cymbal", "kick", "open_hat"),
        *("rim", "shaker", "snare", "tom"),
    ]
    assert sounds.class_of("BD", classes) == "kick" and sounds.class_of("fx", classes) == ""
