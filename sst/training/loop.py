"""The training loop: steps, evaluations, checkpoints, and every way in which it may end."""

import concurrent.futures
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from sst.config import Config
from sst.data import dataset as datasets
from sst.data.dataset import Dataset, Split
from sst.errors import Interrupted, ModelError, UserError
from sst.training import checkpoints, peak_flops, plateau, workdir
from sst.training import step as training_step
from sst.training.export import Publisher, Source
from sst.training.run_log import Row, RunLog, duration, evaluation_line

LOOK_BEHIND = 2  # single steps under way on a device while the host prepares the next one


@dataclasses.dataclass(frozen=True)
class Run:
    """What stays the same from the first step to the last."""

    config: Config
    dataset: Dataset
    directory: Path
    model: ModuleType  # sst.model.model, or a stand-in with its interface
    devices: Sequence[jax.Device]
    last_step: int  # of this session
    log: RunLog


class Session:
    """One sitting of a run, from the restored or initial state on."""

    def __init__(
        self, run: Run, store: checkpoints.Store, stats: Any, state: training_step.TrainState
    ) -> None:
        self.run, self.store, self.log = run, store, run.log
        self.step = int(state.step)
        self.plateau = training_step.to_host(state.plateau)
        self.feed = _Feed(run)
        self.state = training_step.replicate(state, run.devices)
        self.stats = training_step.replicate(stats, run.devices)
        self.programs = training_step.make_programs(
            run.config, run.model.objective, run.devices, self.feed.resident
        )
        source = Source(run.config, run.dataset, run.model, run.directory)
        self.publisher = Publisher(source, stats, run.log)
        # Terms of the calls since the last evaluation: [] of a single step, [k] of several.
        self.pending: list[dict[str, jax.Array]] = []
        self.compiled: set[int] = set()  # steps in a call
        optim = run.config.optim
        self.at_once = min(optim.steps_per_call, optim.eval_every) if self.feed.resident else 1
        # Several virtual CPU devices share one pool of threads: steps that wait for each other's
        # collectives can fill it and never end, so there each one is waited for.
        shared = run.devices[0].platform == "cpu" and len(run.devices) > 1
        self.behind = 0 if shared or self.at_once > 1 else LOOK_BEHIND
        self.clock = _Clock(run, self.log.rows)

    def go(self) -> Row | None:
        """Trains to the end of the run or of the session; the best evaluation."""
        self._offer_best()
        with workdir.stop_requests() as stop:
            while (reason := self._end()) is None:
                self._advance()
                if self.step % self.run.config.optim.eval_every == 0:
                    self._evaluate(observe=True)
                elif self._end() is not None:
                    self._evaluate(observe=False)  # off the schedule: for the record alone
                if stop.requested:
                    self._interrupt()
            self.store.wait()
            self.publisher.flush()
        return self._report(reason)

    def _end(self) -> str | None:
        optim = self.run.config.optim
        if plateau.finished(self.plateau, optim):
            rate = plateau.learning_rate(self.plateau, optim)
            return f"learning rate {rate:.1e} < {optim.min_lr:.1e}"
        if self.step >= optim.max_steps:
            return f"config.optim.max_steps={optim.max_steps:,} reached"
        if self.step >= self.run.last_step:
            return f"--max-steps {self.run.last_step} reached"
        return None

    def _advance(self) -> None:
        count = self._count()
        rows, clips = self.feed.batch(self.step, count)
        program = self.programs.step if count == 1 else self.programs.steps
        if count in self.compiled:
            self.state, terms = program(self.state, self.stats, clips, rows)
        else:
            terms = self._first_call(program, count, clips, rows)
        self.step += count
        self.pending.append(terms)
        if len(self.pending) > self.behind:
            self._check(len(self.pending) - 1 - self.behind)

    def _count(self) -> int:
        """How many steps to make in one call: one, where those of a whole one lead too far."""
        every = self.run.config.optim.eval_every
        left = min(every - self.step % every, self.run.last_step - self.step)
        return self.at_once if self.at_once <= left else 1

    def _first_call(
        self, program: Any, count: int, clips: Any, rows: np.ndarray
    ) -> dict[str, jax.Array]:
        self.log.say("compiling ...")
        start = time.perf_counter()
        with workdir.killable():
            arguments = (self.state, self.stats, clips, rows)
            cost = program.lower(*arguments).cost_analysis()  # of one step, also inside a loop
            self.state, terms = program(*arguments)
            jax.block_until_ready(terms)
        took = time.perf_counter() - start
        self.log.say(f"compiled in {duration(took)}")
        self.clock.leave_out(count, took, (cost or {}).get("flops", 0.0))
        self.compiled.add(count)
        return terms

    def _check(self, index: int) -> None:
        """Waits for a call of this interval and stops if a step came to nothing finite."""
        begin = self.step - sum(call["loss"].size for call in self.pending[index:])
        for name, values in jax.device_get(self.pending[index]).items():
            wrong = np.flatnonzero(~np.isfinite(values))
            if wrong.size:
                self._diverged(name, np.ravel(values)[wrong[0]], begin + int(wrong[0]) + 1)

    def _check_all(self) -> None:
        for index in range(max(len(self.pending) - self.behind, 0), len(self.pending)):
            self._check(index)

    def _diverged(self, name: str, value: float, step: int) -> None:
        self.store.wait()
        kept = self.store.steps()
        good = f"the state of step {kept[-1]:,} is kept" if kept else "no earlier state was saved"
        raise UserError(
            f"{name} became {value} at step {step:,}; {good} in {self.run.directory}. A lower "
            "--config.optim.learning-rate may help, or --config.optim.clip-norm."
        )

    def _evaluate(self, observe: bool) -> None:
        self._check_all()
        calls, config = jax.device_get(self.pending), self.run.config
        terms = {name: np.hstack([call[name] for call in calls]) for name in calls[0]}
        row = self.clock.row(self.step, terms["loss"].size)
        row |= {f"train/{name}": float(np.mean(terms[name])) for name in ("loss", *terms)}
        with workdir.killable():  # the first one compiles
            valid = training_step.evaluate(
                self.programs,
                self.state.ema,
                self.stats,
                self.feed.valid_clips,
                config,
                len(self.run.devices),
            )
        row |= {f"valid/{name}": valid[name] for name in ("loss", *valid)}
        if not math.isfinite(valid["loss"]):
            self._diverged("the validation loss", valid["loss"], self.step)
        row["lr"] = plateau.learning_rate(self.plateau, config.optim)
        if observe:
            observed = plateau.observe(self.plateau, valid["loss"], config.optim)
            self.plateau = training_step.to_host(observed)
            fresh = training_step.replicate(self.plateau, self.run.devices)
            self.state = self.state._replace(plateau=fresh)
        self._record(row)
        self.pending = []
        self.clock.resume()

    def _record(self, row: Row) -> None:
        self.log.add(row)
        best = self.log.best()
        outlook = plateau.outlook(self.plateau, self.run.config.optim)
        self.log.say(evaluation_line(row, best or row, outlook))
        self.store.save(self.step, self.state, row["valid/loss"])
        if best is self.log.rows[-1]:
            self.publisher.offer(training_step.to_host(self.state.ema), row)

    def _interrupt(self) -> None:
        self._check_all()
        self.store.wait()
        self.store.save(self.step, self.state)
        self.store.wait()
        self.publisher.flush()
        self.log.note(f"interrupted at step {self.step}")
        raise Interrupted(f"saved at step {self.step:,}; run the same command to continue")

    def _offer_best(self) -> None:
        """Exports the best state again if a kill came before its export."""
        best, exported = self.log.best(), _exported_step(self.run.directory)
        if best is None or exported == best["step"]:
            return
        found = self.store.restore(jax.device_get(self.state), best=True)
        if found and found.step == best["step"]:
            self.publisher.offer(training_step.to_host(found.state.ema), best)

    def _report(self, reason: str) -> Row | None:
        best = self.log.best()
        took = duration(self.clock.total())
        found = f"; best {best['valid/loss']:.2f} at step {int(best['step']):,}" if best else ""
        self.log.say(f"stop: {reason} after {took}{found}")
        self.log.say(f"next: python -m pipelines.infer generate --model {self.run.directory}")
        return best


class _Feed:
    """Where the clips are: on the devices, or in host memory with one batch prepared ahead."""

    def __init__(self, run: Run) -> None:
        optim = run.config.optim
        self._shape = (len(run.devices), optim.batch_size // len(run.devices))
        self._seed, self._size = run.config.seed, run.dataset.train.size
        clips = [
            _clips(run.dataset, split) for split in (run.dataset.train, run.dataset.validation)
        ]
        self.resident = all(training_step.fits(each, run.devices) for each in clips)
        if self.resident:
            clips = [training_step.replicate(each, run.devices) for each in clips]
        self._clips, self.valid_clips = clips
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "batches")
        self._ahead: tuple[int, concurrent.futures.Future[Any]] | None = None

    def batch(self, step: int, count: int = 1) -> tuple[np.ndarray, training_step.Clips]:
        """Rows int32 [devices, b] of a step, and the clips that the step function wants.

        Of several steps, where the clips are resident: [devices, count, b].
        """
        rows = self._rows(step)
        if count > 1:
            rows = np.stack([self._rows(step + i) for i in range(count)], axis=1)
        if self.resident:
            return rows, self._clips
        if self._ahead and self._ahead[0] == step:
            clips = self._ahead[1].result()
        else:
            clips = training_step.gather(self._clips, rows)
        self._ahead = (
            step + 1,
            self._pool.submit(lambda: training_step.gather(self._clips, self._rows(step + 1))),
        )
        return rows, clips

    def _rows(self, step: int) -> np.ndarray:
        count = self._shape[0] * self._shape[1]
        return datasets.batch_rows(self._seed, step, self._size, count).reshape(self._shape)


class _Clock:
    """Speed since the last evaluation, and time over all sittings."""

    def __init__(self, run: Run, rows: Sequence[Row]) -> None:
        self._run = run
        self._before = rows[-1]["seconds"] if rows else 0.0
        self._begin = self._since = time.perf_counter()
        self._skip = 0  # steps of this interval that were not timed
        self._flops = self._peak = 0.0

    def leave_out(self, steps: int, seconds: float, flops: float) -> None:
        """After a call that compiled: it does not count. The first one starts the clock."""
        self._skip += steps
        self._since += seconds
        if self._peak:
            return
        device, many = self._run.devices[0], len(self._run.devices)
        self._flops = flops * many
        peak = peak_flops.peak_flops(device, self._run.config.model.precision)
        self._peak = peak * (1 if device.platform == "cpu" else many)
        self._since = time.perf_counter()

    def resume(self) -> None:
        """After an evaluation."""
        self._since, self._skip = time.perf_counter(), 0

    def total(self) -> float:
        """Seconds over all sittings."""
        return self._before + time.perf_counter() - self._begin

    def row(self, step: int, steps: int) -> Row:
        """The start of an evaluation's row; `steps` were done since the last one."""
        optim, timed = self._run.config.optim, steps - self._skip
        rate = timed / max(time.perf_counter() - self._since, 1e-9)
        return {
            "step": step,
            "epoch": step * optim.batch_size / self._run.dataset.train.size,
            "seconds": self.total(),
            "clips_per_second": rate * optim.batch_size,
            "share_of_peak": rate * self._flops / self._peak if self._peak else 0.0,
        }


def _clips(dataset: Dataset, split: Split) -> training_step.Clips:
    labels = dataset.label_rows(split)
    return training_step.Clips(split.log_mel, split.n_frames, split.peak_db, split.attack, labels)


def _exported_step(directory: Path) -> int | None:
    """The step of the exported model, None if there is none that is intact."""
    try:
        return checkpoints.load_model(directory / "model").facts["step"]
    except (ModelError, KeyError):
        return None
