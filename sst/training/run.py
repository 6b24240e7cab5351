"""The training run: from a built dataset to a model in the run's directory."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from sst.config import Config, check_ranges
from sst.data.dataset import Dataset
from sst.errors import ModelError
from sst.model import export_format
from sst.model.functions import VAE, ModelFunctions
from sst.training import checkpoints, step, workdir
from sst.training.loop import Run, Session
from sst.training.run_log import Row, RunLog


def fit(
    config: Config,
    dataset: Dataset,
    directory: Path,
    echo: Callable[[str], None],
    max_steps: int | None = None,
    model: ModelFunctions = VAE,
    devices: Sequence[jax.Device] | None = None,
) -> Row | None:
    """Trains until the plateau rule ends the run, from the last checkpoint if there is one.

    The caller holds `workdir.locked(directory)`.

    Args:
        config: of the run; must fit the checkpoints that are there.
        dataset: what to learn from.
        directory: of the run.
        echo: takes each line for the screen.
        max_steps: the step, counted over all sessions, at which this session ends.
        model: the functions of another model.
        devices: in place of all local devices.

    Returns:
        The best evaluation, None if there was none.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with the state saved.
        UserError: if a loss is not finite; the last good state is kept.
        ModelError: if no checkpoint is intact.
        ResourceError: if the disk is full.
    """
    check_config(config)
    chosen = list(devices or jax.local_devices())
    step.check_batch(config.optim.batch_size, len(chosen))
    store = checkpoints.Store(directory / "checkpoints")
    try:
        variables = _variables(config, dataset, directory, model)
        fresh = step.init_state(config, variables.params)
        restored = store.restore(fresh)
        state = restored.state if restored else fresh
        log = RunLog(directory, int(state.step), echo)
        try:
            last = min(max_steps or config.optim.max_steps, config.optim.max_steps)
            run = Run(config, dataset, directory, model, chosen, last, log)
            for note in restored.notes if restored else []:
                log.say(note)
            _introduce(run, state, resumed=restored is not None)
            return Session(run, store, variables.stats, state).train()
        finally:
            log.close()
    finally:
        store.close()


def check_config(config: Config) -> None:
    """Checks the ranges of the optimiser's settings.

    Raises:
        UsageError: naming the field.
    """
    optim = config.optim
    rules = {
        "learning_rate": (optim.learning_rate > 0, "above 0"),
        "min_lr": (optim.min_lr > 0, "above 0"),
        "weight_decay": (optim.weight_decay >= 0, "0 or more"),
        "clip_norm": (optim.clip_norm > 0, "above 0"),
        "ema_decay": (0 <= optim.ema_decay < 1, "0 or more, and below 1"),
        "eval_every": (optim.eval_every >= 1, "1 or more"),
        "patience": (optim.patience >= 1, "1 or more"),
        "factor": (0 < optim.factor < 1, "above 0, and below 1"),
        "min_improvement": (optim.min_improvement > 0, "above 0"),
        "max_steps": (optim.max_steps >= 1, "1 or more"),
        "warmup_steps": (optim.warmup_steps >= 0, "0 or more"),
        "steps_per_call": (optim.steps_per_call >= 1, "1 or more"),
    }
    check_ranges("config.optim", optim, rules)


def _variables(
    config: Config, dataset: Dataset, directory: Path, model: ModelFunctions
) -> export_format.SavedModel:
    """Returns the initial parameters and the data set's constants, the same at every resume."""
    folder = directory / "initial"
    if not workdir.has_checkpoint(directory):
        split = dataset.train
        stats = model.data_stats(split, config)
        n_classes = len(dataset.class_names)
        params = model.init(jax.random.key(config.seed), config, stats, n_classes)
        facts = {"dataset": dataset.name, "fingerprint": dataset.fingerprint}
        export_format.save_model(
            folder, config, jax.device_get(params), jax.device_get(stats), {}, [], facts
        )
    saved = export_format.load_model(folder)
    if saved.facts["fingerprint"] != dataset.fingerprint:
        raise ModelError(
            f"{dataset.name} has changed since the run in {directory} was started "
            f"(fingerprint {saved.facts['fingerprint']}, now {dataset.fingerprint}). "
            "Give another --workdir to train on what it holds now."
        )
    return saved


def _introduce(run: Run, state: step.TrainState, resumed: bool) -> None:
    optim, dataset = run.config.optim, run.dataset
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    kinds = f"{len(run.devices)} x {run.devices[0].device_kind}"
    run.log.say(
        f"devices {kinds}  parameters {parameters:,}  train {dataset.train.size:,}  "
        f"validation {dataset.validation.size:,} clips  batch {optim.batch_size}  "
        f"seed {run.config.seed}  workdir {run.directory}"
    )
    if resumed:
        run.log.say(f"resumed at step {int(state.step):,} of {run.config.name}")
