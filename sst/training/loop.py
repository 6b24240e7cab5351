"""The training loop: steps, evaluations, checkpoints, and the end of a run or session."""

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sst.config import Config
from sst.data.dataset import Dataset
from sst.errors import Interrupted, ModelError, UserError
from sst.model import export_format
from sst.model.functions import ModelFunctions
from sst.training import checkpoints, plateau, workdir
from sst.training import step as training_step
from sst.training.batches import Batches
from sst.training.clock import Clock
from sst.training.export import Exporter, ExportInputs
from sst.training.run_log import Row, RunLog, format_duration, format_evaluation

MAX_UNCHECKED_CALLS = 2  # under way on a device while the host prepares the next one


@dataclasses.dataclass(frozen=True)
class Run:
    """The constants of a session: configuration, data, model, devices and log."""

    config: Config
    dataset: Dataset
    directory: Path
    model: ModelFunctions
    devices: Sequence[jax.Device]
    last_step: int  # of this session
    log: RunLog


class Session:
    """One session of a run, from the restored or initial state on."""

    def __init__(
        self, run: Run, store: checkpoints.Store, stats: Any, state: training_step.TrainState
    ) -> None:
        self.run, self.store, self.log = run, store, run.log
        config, devices = run.config, run.devices
        self.step = int(state.step)
        self.plateau = training_step.to_host(state.plateau)
        self.batches = Batches(config, run.dataset, devices)
        self.state = training_step.replicate(state, devices)
        self.stats = training_step.replicate(stats, devices)
        self.programs = training_step.make_programs(
            config, run.model.objective, devices, self.batches.resident
        )
        inputs = ExportInputs(config, run.dataset, run.model, run.directory)
        self.exporter = Exporter(inputs, stats, run.log)
        seconds_before = self.log.rows[-1]["seconds"] if self.log.rows else 0.0
        self.clock = Clock(config, run.dataset.train.size, devices, seconds_before)
        # Terms of the calls since the last evaluation: [] of a single step, [k] of several.
        self.pending: list[dict[str, jax.Array]] = []
        self.compiled: set[int] = set()  # numbers of steps per call
        steps_per_call = min(config.optim.steps_per_call, config.optim.eval_every)
        self.steps_per_call = steps_per_call if self.batches.resident else 1
        # Several virtual CPU devices share one pool of threads: steps that wait for each other's
        # collectives can fill it and never end, so there each one is waited for.
        shared = devices[0].platform == "cpu" and len(devices) > 1
        self.max_unchecked = 0 if shared or self.steps_per_call > 1 else MAX_UNCHECKED_CALLS

    def train(self) -> Row | None:
        """Trains until the run or this session ends; returns the best evaluation."""
        self._export_missed_best()
        with workdir.stop_requests() as stop:
            while (reason := self._end_reason()) is None:
                self._call_steps()
                on_schedule = self.step % self.run.config.optim.eval_every == 0
                if on_schedule or self._end_reason() is not None:
                    row = self._evaluate()
                    # Before the state is saved, so that a resume does not observe it again. The
                    # last evaluation may lie off the schedule: it is for the record alone.
                    if on_schedule:
                        self._observe_plateau(row["valid/loss"])
                    self._write_log(row)
                    self._save(row)
                    self.clock.start_interval()
                # After the evaluation: it belongs to the step that is saved here.
                if stop.requested:
                    self._interrupt()
            self.store.wait()
            self.exporter.flush()
        return self._finish(reason)

    def _end_reason(self) -> str | None:
        optim = self.run.config.optim
        if plateau.is_finished(self.plateau, optim):
            rate = plateau.learning_rate(self.plateau, optim)
            return f"learning rate {rate:.1e} < {optim.min_lr:.1e}"
        if self.step >= optim.max_steps:
            return f"config.optim.max_steps={optim.max_steps:,} reached"
        if self.step >= self.run.last_step:
            return f"--max-steps {self.run.last_step} reached"
        return None

    def _call_steps(self) -> None:
        """Starts one call of one or several steps, and checks an earlier one."""
        n_steps = self._next_n_steps()
        rows, clips = self.batches.batch(self.step, n_steps)
        program = self.programs.step if n_steps == 1 else self.programs.steps
        if n_steps in self.compiled:
            self.state, terms = program(self.state, self.stats, clips, rows)
        else:
            terms = self._compile_and_call(program, n_steps, clips, rows)
        self.step += n_steps
        self.pending.append(terms)
        if len(self.pending) > self.max_unchecked:
            self._check_finite(len(self.pending) - 1 - self.max_unchecked)

    def _next_n_steps(self) -> int:
        """Returns the steps of the next call: 1 where a whole call would pass an evaluation."""
        every = self.run.config.optim.eval_every
        left = min(every - self.step % every, self.run.last_step - self.step)
        return self.steps_per_call if self.steps_per_call <= left else 1

    def _compile_and_call(
        self, program: Any, n_steps: int, clips: Any, rows: np.ndarray
    ) -> dict[str, jax.Array]:
        self.log.say("compiling ...")
        start = time.perf_counter()
        with workdir.default_sigint():
            arguments = (self.state, self.stats, clips, rows)
            cost = program.lower(*arguments).cost_analysis()  # of one step, also inside a loop
            self.state, terms = program(*arguments)
            jax.block_until_ready(terms)
        took = time.perf_counter() - start
        self.log.say(f"compiled in {format_duration(took)}")
        self.clock.exclude(n_steps, took, (cost or {}).get("flops", 0.0))
        self.compiled.add(n_steps)
        return terms

    def _check_finite(self, index: int) -> None:
        """Waits for a pending call, and ends the run if a term of it is not finite."""
        begin = self.step - sum(call["loss"].size for call in self.pending[index:])
        for name, values in jax.device_get(self.pending[index]).items():
            wrong = np.flatnonzero(~np.isfinite(values))
            if wrong.size:
                self._stop_diverged(name, np.ravel(values)[wrong[0]], begin + int(wrong[0]) + 1)

    def _check_unchecked(self) -> None:
        for index in range(max(len(self.pending) - self.max_unchecked, 0), len(self.pending)):
            self._check_finite(index)

    def _stop_diverged(self, name: str, value: float, step: int) -> None:
        self.store.wait()
        kept = self.store.steps()
        good = f"the state of step {kept[-1]:,} is kept" if kept else "no earlier state was saved"
        raise UserError(
            f"{name} became {value} at step {step:,}; {good} in {self.run.directory}. A lower "
            "--config.optim.learning-rate may help, or --config.optim.clip-norm."
        )

    def _evaluate(self) -> Row:
        """Returns the row of this evaluation: speed, training terms, validation terms, rate."""
        self._check_unchecked()
        calls, config = jax.device_get(self.pending), self.run.config
        terms = {name: np.hstack([call[name] for call in calls]) for name in calls[0]}
        row = self.clock.row(self.step, terms["loss"].size)
        row |= {f"train/{name}": float(np.mean(terms[name])) for name in ("loss", *terms)}
        params, clips = self.state.ema, self.batches.valid_clips
        with workdir.default_sigint():  # the first one compiles
            valid = training_step.evaluate(
                self.programs, params, self.stats, clips, config, len(self.run.devices)
            )
        row |= {f"valid/{name}": valid[name] for name in ("loss", *valid)}
        if not math.isfinite(valid["loss"]):
            self._stop_diverged("the validation loss", valid["loss"], self.step)
        row["lr"] = plateau.learning_rate(self.plateau, config.optim)  # of the steps before it
        self.pending = []
        return row

    def _observe_plateau(self, valid_loss: float) -> None:
        observed = plateau.observe(self.plateau, valid_loss, self.run.config.optim)
        self.plateau = training_step.to_host(observed)
        replicated = training_step.replicate(self.plateau, self.run.devices)
        self.state = self.state._replace(plateau=replicated)

    def _write_log(self, row: Row) -> None:
        self.log.add(row)
        outlook = plateau.describe_outlook(self.plateau, self.run.config.optim)
        self.log.say(format_evaluation(row, self.log.best() or row, outlook))

    def _save(self, row: Row) -> None:
        """Saves a checkpoint rated by the validation loss, and exports the model if it is best."""
        self.store.save(self.step, self.state, row["valid/loss"])
        if self.log.best() is self.log.rows[-1]:
            self.exporter.offer(training_step.to_host(self.state.ema), row)

    def _interrupt(self) -> None:
        self._check_unchecked()
        self.store.wait()
        self.store.save(self.step, self.state)
        self.store.wait()
        self.exporter.flush()
        self.log.note(f"interrupted at step {self.step}")
        raise Interrupted(f"saved at step {self.step:,}; run the same command to continue")

    def _export_missed_best(self) -> None:
        """Exports the best state again if a kill came before its export."""
        best, exported = self.log.best(), _exported_step(self.run.directory)
        if best is None or exported == best["step"]:
            return
        found = self.store.restore(jax.device_get(self.state), best=True)
        if found and found.step == best["step"]:
            self.exporter.offer(training_step.to_host(found.state.ema), best)

    def _finish(self, reason: str) -> Row | None:
        best = self.log.best()
        took = format_duration(self.clock.total())
        found = f"; best {best['valid/loss']:.2f} at step {int(best['step']):,}" if best else ""
        self.log.say(f"stop: {reason} after {took}{found}")
        self.log.say(f"next: python -m pipelines.infer generate --model {self.run.directory}")
        return best


def _exported_step(directory: Path) -> int | None:
    """Returns the step of the exported model, None if there is none that is intact."""
    try:
        return export_format.load_model(directory / "model").facts["step"]
    except (ModelError, KeyError):
        return None
