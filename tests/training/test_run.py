import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sst.config import Config, ModelConfig, OptimConfig
from sst.data import dataset as datasets
from sst.errors import Interrupted, ModelError, ResourceError, UsageError, UserError
from sst.model import export_format
from sst.training import checkpoints, plots, workdir
from sst.training import run as training_run
from sst.training import step as training_step
from tests import linear_model
from tests.small_dataset import AUDIO, records

CONFIG = Config(
    name="test",
    audio=AUDIO,
    model=ModelConfig(latent_dim=4),
    optim=OptimConfig(
        batch_size=8, warmup_steps=3, learning_rate=3e-2, eval_every=4, patience=2, min_lr=1e-3
    ),
)


def split(n, seed):
    made = records(n, AUDIO, seed)
    log_mel = np.full((n, AUDIO.n_frames, AUDIO.n_mels), AUDIO.floor_db, np.float16)
    for row, record in enumerate(made):
        log_mel[row, : len(record["log_mel"])] = record["log_mel"]
    return datasets.Split(
        ids=[record["id"] for record in made],
        labels=[record["label"] for record in made],
        log_mel=log_mel,
        n_frames=np.array([len(record["log_mel"]) for record in made], np.int32),
        peak_db=np.array([record["peak_db"] for record in made], np.float32),
        attack=np.stack([record["attack"] for record in made]),
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    names = ["kick", "snare", "hat"]
    return datasets.Dataset("sample_library/t", path, split(21, 0), split(7, 1), names, "f0", {})


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch, request):
    if "pictures" not in request.node.name:
        monkeypatch.setattr(plots, "is_available", lambda: False)


@pytest.fixture(scope="module")
def straight(dataset, tmp_path_factory):
    """A run of 20 steps that nothing has interrupted."""
    directory = tmp_path_factory.mktemp("straight")
    run(dataset, directory, 20)
    return directory


class Messages(list):
    """The messages of a run; `act` is called with each."""

    def __init__(self, act=lambda text: None):
        super().__init__()
        self._act = act

    def __call__(self, text):
        self.append(text)
        self._act(text)


def run(
    dataset, directory, max_steps=None, config=CONFIG, messages=None, model=linear_model.MODEL, n=1
):
    devices = jax.devices()[:n]
    return training_run.fit(
        config,
        dataset,
        directory,
        Messages() if messages is None else messages,
        max_steps,
        model,
        devices,
    )


def state_of(dataset, directory):
    """Every leaf of the newest checkpoint, by name, as the digests of its bytes."""
    stats = linear_model.MODEL.data_stats(dataset.train, CONFIG)
    template = training_step.init_state(
        CONFIG, linear_model.MODEL.init(jax.random.key(0), CONFIG, stats)
    )
    store = checkpoints.Store(directory / "checkpoints")
    found = store.restore(template)
    store.close()
    return found.step, checkpoints.digests(found.state)


def with_objective(objective):
    return linear_model.MODEL._replace(objective=objective)


def test_resume_is_exact_to_the_bit(dataset, tmp_path):
    noisy = with_objective(linear_model.noisy_objective)
    run(dataset, tmp_path / "once", 20, model=noisy, n=2)
    for stop in (8, 13, 20):  # 13 is not a step of evaluation
        run(dataset, tmp_path / "thrice", stop, model=noisy, n=2)
    once, thrice = (state_of(dataset, tmp_path / name) for name in ("once", "thrice"))
    assert once == thrice
    names = " ".join(once[1])
    for part in (".params", ".ema", ".mu", ".nu", ".plateau", ".step", ".key", ".count"):
        assert part in names


def test_resume_on_another_number_of_devices_follows_the_same_curve(dataset, tmp_path, straight):
    run(dataset, tmp_path / "a", 8, n=1)
    run(dataset, tmp_path / "a", 20, n=2)
    a, b = read_rows(tmp_path / "a"), read_rows(straight)
    assert [row["step"] for row in a] == [row["step"] for row in b]
    losses = [[row["train/loss"] for row in rows] for rows in (a, b)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def read_rows(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def stop_at(step, number):
    def act(text):
        if text.startswith(f"step {step} "):
            os.kill(os.getpid(), number)

    return Messages(act)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(dataset, tmp_path, number, straight):
    with pytest.raises(Interrupted, match="saved at step 12; run the same command to continue"):
        run(dataset, tmp_path / "a", 20, messages=stop_at(12, number))
    assert state_of(dataset, tmp_path / "a")[0] == 12
    assert export_format.load_model(tmp_path / "a" / "model").facts["step"] <= 12
    run(dataset, tmp_path / "a", 20)
    assert state_of(dataset, tmp_path / "a") == state_of(dataset, straight)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Of the four steps between two evaluations: three in one call, and one.
CALLS = dataclasses.replace(CONFIG, optim=dataclasses.replace(CONFIG.optim, steps_per_call=3))


@pytest.mark.parametrize("config, at, saved", [(CONFIG, 6, 7), (CALLS, 9, 11)])
def test_a_signal_between_evaluations_saves_the_end_of_that_call(
    dataset, tmp_path, monkeypatch, straight, config, at, saved
):
    original = datasets.batch_rows

    def signalled(seed, step, n, size):
        if step == at:
            os.kill(os.getpid(), signal.SIGINT)
        return original(seed, step, n, size)

    monkeypatch.setattr(datasets, "batch_rows", signalled)
    with pytest.raises(Interrupted, match=f"saved at step {saved}"):
        run(dataset, tmp_path / "a", 20, config=config)
    monkeypatch.setattr(datasets, "batch_rows", original)
    run(dataset, tmp_path / "a", 20, config=config)
    assert state_of(dataset, tmp_path / "a") == state_of(dataset, straight)


@pytest.mark.slow
def test_several_steps_in_one_call_make_the_same_run(dataset, tmp_path, straight):
    run(dataset, tmp_path / "once", 20, config=CALLS)
    for stop in (8, 13, 20):
        run(dataset, tmp_path / "thrice", stop, config=CALLS)
    once, thrice = (state_of(dataset, tmp_path / name) for name in ("once", "thrice"))
    assert once == thrice == state_of(dataset, straight)
    rows, expected = read_rows(tmp_path / "once"), read_rows(straight)
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for name in ("train/loss", "train/gradient_norm", "valid/loss", "epoch", "lr"):
        assert [row[name] for row in rows] == [row[name] for row in expected]


def test_the_plateau_rule_ends_the_run_and_the_best_model_is_exported(dataset, tmp_path):
    messages = Messages()
    best = run(dataset, tmp_path, messages=messages)
    rows = read_rows(tmp_path)
    assert best == min(rows, key=lambda row: row["valid/loss"])
    exported = export_format.load_model(tmp_path / "model")
    assert exported.facts["step"] == best["step"]
    assert exported.config == CONFIG and exported.class_names == dataset.class_names
    assert set(exported.prior) == {"points", "neighbours", "labels", "noise"}
    stop = next(text for text in messages if text.startswith("stop:"))
    assert "learning rate 7.7e-04 < 1.0e-03" in stop and f"best {best['valid/loss']:.2f} at" in stop
    assert messages[-1].endswith(f"generate --model {tmp_path}")
    # The exported parameters are those that were evaluated: the moving average at that step.
    params, stats = exported.params, exported.stats
    clips = dataset.validation
    batch = clips.features(slice(None))
    loss = linear_model.objective(params, stats, batch, None, CONFIG)[0].mean()
    assert float(loss) == pytest.approx(best["valid/loss"], rel=1e-5)
    # The same command again: nothing is left to do.
    again = Messages()
    assert run(dataset, tmp_path, messages=again) == best
    assert not any(text.startswith("step ") for text in again)


def test_a_constant_negative_loss_ends_the_run_too(dataset, tmp_path):
    def constant(params, stats, batch, key, config, train=False):
        nothing = 0.0 * jnp.sum(params["down"]["kernel"]) * jnp.ones(len(batch.n_frames))
        return nothing - 50.0, {}

    run(dataset, tmp_path, model=with_objective(constant))
    assert [round(row["lr"], 6) for row in read_rows(tmp_path)] == pytest.approx(
        [0.03, 0.03, 0.03, 0.012, 0.012, 0.0048, 0.0048, 0.00192, 0.00192], abs=1e-6
    )


@pytest.mark.parametrize(
    "what, config", [("loss", CONFIG), ("gradient", CONFIG), ("gradient", CALLS)]
)
def test_a_nan_in_training_names_the_step_and_keeps_the_last_good_state(
    dataset, tmp_path, what, config
):
    # The state counts the steps in the warm-up schedule alone, so the clips carry the poison.
    def poisoned(params, stats, batch, key, config, train=False):
        loss, terms = linear_model.objective(params, stats, batch, key, config)
        bad = jnp.where(batch.peak_db == 7.0, 0.0, 1.0)
        if what == "loss":
            return loss / jnp.where(bad == 0, jnp.nan, 1.0), terms
        root = jnp.sqrt(jnp.square(params["up"]["kernel"][0, 0] * bad))
        return loss + (root - jax.lax.stop_gradient(root)), terms

    rows = datasets.batch_rows(CONFIG.seed, 9, 21, 8)
    clean = dataset.train
    run(dataset, tmp_path, 8, model=with_objective(poisoned))
    before = state_of(dataset, tmp_path)
    peak = clean.peak_db.copy()
    only = [r for r in rows if r not in datasets.batch_rows(CONFIG.seed, 8, 21, 8)]
    peak[only] = 7.0
    spoilt = dataset._replace(train=clean._replace(peak_db=peak))
    with pytest.raises(UserError, match=r"became nan at step 10; the state of step 8 is kept"):
        run(spoilt, tmp_path, 30, model=with_objective(poisoned), config=config)
    assert state_of(dataset, tmp_path) == before
    assert not (tmp_path / "checkpoints" / "step_12").exists()


def test_a_nan_in_validation_is_never_a_plateau(dataset, tmp_path):
    def poisoned(params, stats, batch, key, config, train=False):
        loss, terms = linear_model.objective(params, stats, batch, key, config)
        return loss if train else loss * jnp.nan, terms

    with pytest.raises(UserError, match="the validation loss became nan at step 4; no earlier"):
        run(dataset, tmp_path, 30, model=with_objective(poisoned))
    assert read_rows(tmp_path) == []


def test_rows_after_the_last_durable_step_are_written_anew(dataset, tmp_path, straight):
    run(dataset, tmp_path / "a", 12)
    newest = tmp_path / "a" / "checkpoints" / "step_12"
    newest.rename(tmp_path / "gone")
    with open(tmp_path / "a" / "metrics.jsonl", "a") as file:
        file.write('{"step": 16, "valid/lo')
    run(dataset, tmp_path / "a", 12)
    a, b = read_rows(tmp_path / "a"), read_rows(straight)
    assert [row["step"] for row in a] == [4, 8, 12]
    assert [row["valid/loss"] for row in a] == [row["valid/loss"] for row in b[:3]]
    assert len((tmp_path / "a" / "metrics.csv").read_text().splitlines()) == 4


def test_an_export_that_a_kill_prevented_is_made_up_for(dataset, tmp_path):
    best = run(dataset, tmp_path, 12)
    whole = export_format.load_model(tmp_path / "model")
    (tmp_path / "model" / "manifest.json").write_text("{}")
    run(dataset, tmp_path, 12)
    again = export_format.load_model(tmp_path / "model")
    assert again.facts["step"] == best["step"] and again.digest == whole.digest


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_only_damaged_checkpoints_are_never_a_fresh_start(dataset, tmp_path):
    run(dataset, tmp_path, 12)
    for path in (tmp_path / "checkpoints").glob("step_*/meta/metadata"):
        path.write_text(path.read_text().replace("a", "b"))
    with pytest.raises(ModelError, match="No checkpoint in .* is intact"):
        run(dataset, tmp_path, 20)
    assert (tmp_path / "checkpoints" / "step_12").exists()


def test_a_lost_beginning_is_never_a_fresh_start(dataset, tmp_path):
    run(dataset, tmp_path, 4)
    (tmp_path / "initial" / "manifest.json").unlink()
    with pytest.raises(ModelError):
        run(dataset, tmp_path, 8)


def test_before_the_first_checkpoint_everything_may_change(dataset, tmp_path):
    noisy = dataclasses.replace(CONFIG, optim=dataclasses.replace(CONFIG.optim, eval_every=99))

    def stop(text):
        if text.startswith("compiled"):
            raise ResourceError("a full disk")

    with pytest.raises(ResourceError):
        run(dataset, tmp_path, 4, config=noisy, messages=Messages(stop))
    model = dataclasses.replace(CONFIG.model, latent_dim=3)
    run(dataset, tmp_path, 4, config=dataclasses.replace(CONFIG, model=model))
    params = export_format.load_model(tmp_path / "model").params
    assert params["up"]["kernel"].shape[0] == 3


def test_a_dataset_that_has_changed_is_refused(dataset, tmp_path):
    run(dataset, tmp_path, 4)
    with pytest.raises(ModelError, match="has changed since the run"):
        run(dataset._replace(fingerprint="f1"), tmp_path, 8)


@pytest.mark.parametrize(
    "field", ["patience", "factor", "eval_every", "min_improvement", "steps_per_call"]
)
def test_settings_without_a_good_end_are_refused(field):
    optim = dataclasses.replace(CONFIG.optim, **{field: 0})
    with pytest.raises(
        UsageError, match=rf"^config.optim.{field}=0 should be (1 or more|above 0.*)\.$"
    ):
        training_run.check_config(dataclasses.replace(CONFIG, optim=optim))


def test_the_files_and_pictures_of_a_run(dataset, tmp_path):
    run(dataset, tmp_path, 8)
    assert (tmp_path / "log.txt").read_text().count("\n") >= 8
    assert (tmp_path / "plots" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "plots" / "reconstructions.png").exists()
    events = list((tmp_path / "tb").glob("events.*"))
    assert events and all(path.stat().st_size > 100 for path in events)


def test_the_workdir_lock_names_its_holder(tmp_path):
    holder = f"by process {os.getpid()}"
    with workdir.locked(tmp_path), pytest.raises(UserError, match=holder), workdir.locked(tmp_path):
        pass
    with workdir.locked(tmp_path):  # and is free afterwards
        pass
