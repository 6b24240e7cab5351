import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from pipelines import train
from pipelines.console import exit_codes
from sst.errors import UsageError
from sst.model import export_format
from sst.training import run_log
from tests import small_dataset

CONFIG = """
from sst.config import AudioConfig, Config, ModelConfig, OptimConfig


def get_config():
    return Config(
        name="tiny",
        audio=AudioConfig(sample_rate=8_000, clip_seconds=0.5, n_fft=256, hop=128, n_mels=16),
        model=ModelConfig(latent_dim=4, width=8, encoder_blocks=1, decoder_blocks=1),
        optim=OptimConfig(batch_size=8, eval_every=3, warmup_steps=2),
    )
"""
DATASET = "sample_library/tiny"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A directory with data/ and config.py."""
    root = tmp_path_factory.mktemp("root")
    small_dataset.write(root / "data", "tiny", 20, 7)
    small_dataset.write(root / "data", "other", 20, 7)
    (root / "config.py").write_text(CONFIG)
    return root


def arguments(root, workdir_name, *more):
    return [
        *("--config", str(root / "config.py"), "--workdir", str(root / workdir_name)),
        *("--dataset", DATASET, "--data-dir", str(root / "data"), *more),
    ]


RUN = """
import sys
from pipelines.console import exit_codes
from pipelines import train
code = exit_codes.run_command(train.main)
assert "tensorflow" not in sys.modules
sys.exit(code)
"""


def spawn(*options):
    environment = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, options)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def trained(root):
    """A run of six steps, as a user starts it."""
    code, out, err = finish(
        spawn(*arguments(root, "run", "--max-steps", "6", "--config.optim.patience=4"))
    )
    assert code == 0, err
    assert out == ""
    return root / "run", err


def test_the_happy_path(trained):
    directory, err = trained
    lines = err.splitlines()
    assert lines[0] == "reading 20 train records"
    assert lines[2].startswith("devices 1 x cpu  parameters ")
    assert "train 20  validation 7 clips  batch 8  seed 0  workdir " in lines[2]
    assert lines[3] == "compiling ..."
    assert [line.split()[1] for line in lines if line.startswith("step ")] == ["3", "6"]
    assert lines[-2].startswith("stop: --max-steps 6 reached after ")
    assert lines[-1] == f"next: python -m pipelines.infer generate --model {directory}"
    assert len(lines) == 9, "nothing else is on the screen"
    for name in ("config.json", "dataset.json", "metrics.jsonl", "metrics.csv", "log.txt"):
        assert (directory / name).stat().st_size > 0
    assert json.loads((directory / "config.json").read_text())["optim"]["patience"] == 4
    assert json.loads((directory / "dataset.json").read_text())["dataset"] == DATASET
    assert export_format.load_model(directory / "model").facts["dataset"] == DATASET


def test_the_model_encodes_and_has_audio_examples(trained):
    import soundfile

    from sst import inference

    model = inference.load(trained[0])
    rate = model.config.audio.sample_rate
    wave, _ = soundfile.read(trained[0] / "samples" / "1_original.wav")
    assert inference.encode(model, wave, rate).shape == (4,)
    assert len(list((trained[0] / "samples").glob("?_reconstruction.wav"))) == 4


def test_the_run_goes_on_with_the_workdir_alone(trained):
    code, _, err = finish(spawn("--workdir", trained[0], "--max-steps", "9"))
    assert code == 0, err
    assert "resumed at step 6 of tiny" in err and "step 9 " in err


def run_command(*options):
    return exit_codes.run_command(train.main, [str(option) for option in options])


MISTAKES = {
    "no run there": (["--workdir", "{root}/new"], 2, "No run in .*/new: give --config FILE.py"),
    "no dataset": (
        ["--workdir", "{root}/new", "--config", "{root}/config.py"],
        2,
        "give --dataset sample_library/NAME",
    ),
    "no config file": (
        ["--workdir", "{root}/new", "--config", "nowhere.py", "--dataset", DATASET],
        2,
        "--config nowhere.py: no such file",
    ),
    "a dataset that is not there": (
        ["--config", "{root}/config.py", "--workdir", "{root}/new"]
        + ["--dataset", "sample_library/nope", "--data-dir", "{root}/data"],
        3,
        "There: sample_library/other, sample_library/tiny. Build it: tfds build",
    ),
    "an unknown key": (
        ["{good}", "--config.optm.batch-size=4"],
        2,
        "config.optm: no such key; did you mean config.optim?",
    ),
    "a value of the wrong type": (
        ["{good}", "--config.optim.batch-size", "many"],
        2,
        "config.optim.batch_size: 'many' is not a whole number",
    ),
    "a value that is missing": (["{good}", "--config.seed"], 2, "--config.seed needs a value"),
    "another audio configuration": (
        ["{good}", "--config.audio.hop=64"],
        4,
        "hop: dataset 128, configuration 64",
    ),
    "a batch that cannot be shared": (["{good}", "--config.optim.batch-size=7"], 2, "use 6 or 8"),
    "steps below one": (["{good}", "--max-steps", "0"], 2, "give at least 1"),
    "an unknown option": (["{good}", "--fast"], 2, "unrecognized arguments: --fast"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_with_a_code(root, name, capsys, tmp_path):
    options, code, text = MISTAKES[name]
    if options[0] == "{good}":
        options = arguments(root, tmp_path / "new", *options[1:])
    assert run_command(*(option.replace("{root}", str(root)) for option in options)) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    assert re.search(text, err), err
    assert len([line for line in err.splitlines() if not line.startswith("reading ")]) <= 8


def test_a_changed_configuration_is_refused_on_resume(trained, root, capsys):
    before = sorted((trained[0] / "checkpoints").iterdir())
    assert run_command("--workdir", trained[0], "--config.model.latent-dim", "8") == 2
    assert "model.latent_dim: saved 4, given 8" in capsys.readouterr().err
    assert sorted((trained[0] / "checkpoints").iterdir()) == before
    assert run_command("--workdir", trained[0], "--dataset", "sample_library/other") == 2
    assert "trains on sample_library/tiny, not on" in capsys.readouterr().err


def test_overrides_are_taken_out_of_the_arguments():
    plain, overrides = train.split_overrides(
        ["--config", "a.py", "--config.a.b=c=d", "--workdir", "w", "--config.e", "-1"]
    )
    assert plain == ["--config", "a.py", "--workdir", "w"]
    assert overrides == [("a.b", "c=d"), ("e", "-1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no function get_config"),
        ("def get_config(): return 3", "should return an sst.config.Config"),
        ("def get_config(:", "SyntaxError"),
        ("import nothing_there", "ModuleNotFoundError"),
    ],
)
def test_a_config_file_that_is_wrong_is_a_sentence(tmp_path, text, message):
    (tmp_path / "c.py").write_text(text)
    with pytest.raises(UsageError, match=message):
        train.read_config(str(tmp_path / "c.py"))


def test_help_is_instant_and_imports_no_jax():
    code = (
        "import sys; from pipelines.console import exit_codes; from pipelines import train; "
        "exit_codes.run_command(train.main, ['--help']); "
        "assert not {'jax', 'tensorflow', 'orbax', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def wait_for(process, text, seconds=120):
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line and not line.startswith("resumed"):
            return
    raise AssertionError(f"{text!r} never came: {seen}")


@pytest.mark.slow
def test_a_second_trainer_is_told_who_holds_the_lock_and_a_killed_one_frees_it(root):
    options = arguments(root, "locked")
    first = spawn(*options)
    wait_for(first, "step 3 ")
    code, _, err = finish(spawn(*options, "--max-steps", "3"))
    assert code == 6 and f"locked by process {first.pid}" in err
    first.kill()
    first.communicate()
    code, _, err = finish(spawn(*options, "--max-steps", "3"))
    assert code == 0, err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_within_ten_seconds(root, number):
    process = spawn(*arguments(root, f"signal{number}"))
    wait_for(process, "step 6 ")
    start = time.monotonic()
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == 130 and time.monotonic() - start < 10
    step = int(err.split("saved at step ")[1].split(";")[0].replace(",", ""))
    code, _, err = finish(
        spawn("--workdir", root / f"signal{number}", "--max-steps", str(step + 1))
    )
    assert code == 0 and f"resumed at step {step:,} of tiny" in err


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(root):
    """A run killed again and again ends in the very state of one that was not."""
    last, seed = 180, random.randrange(2**31)
    print(f"seed {seed}")
    moments = random.Random(seed)
    more = ("--max-steps", last, "--config.optim.patience=999")
    options = arguments(root, "killed", *more)
    for kill in range(5):
        process = spawn(*options)
        for _ in range(moments.randrange(1, 20) if kill else 1):
            wait_for(process, "step " if kill else "reading ")
        time.sleep(moments.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
    code, _, err = finish(spawn(*options))
    assert code == 0 and "resumed at step " in err, err
    code, _, err = finish(spawn(*arguments(root, "whole", *more)))
    assert code == 0, err
    killed, whole = (root / name for name in ("killed", "whole"))
    newest = f"checkpoints/step_{last}/meta/metadata"  # the digests of every leaf of the state
    assert (killed / newest).read_text() == (whole / newest).read_text()
    rows = [run_log.read_rows(directory) for directory in (killed, whole)]
    assert [row["step"] for row in rows[0]] == list(range(3, last + 1, 3))
    assert [row["valid/loss"] for row in rows[0]] == [row["valid/loss"] for row in rows[1]]
    assert run_log.read_rows(killed) and export_format.load_model(killed / "model").digest == (
        export_format.load_model(whole / "model").digest
    )
