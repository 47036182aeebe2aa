"""The loop: steps, records, validation, checkpoints, and the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaezoo.batch import Batch, Drawn
from vaezoo.data import Data
from vaezoo.errors import CheckpointError, DataError, TrainingError
from vaezoo.model import VAE
from vaezoo.training import checkpoint
from vaezoo.training.batches import num_examples, training_batches
from vaezoo.training.captured import Captured, Taking
from vaezoo.training.config import Resolved
from vaezoo.training.diagnosis import skipped_in_a_row, why_not_finite
from vaezoo.training.history import History
from vaezoo.training.interrupts import interruptible
from vaezoo.training.progress import Progress
from vaezoo.training.run_folder import RunFolder, finite
from vaezoo.training.step import TrainingStep
from vaezoo.training.validation import validate
from vaezoo.weights import save
from vaezoo.words import counted

EVALUATION_BATCH = 1000
ENOUGH_TO_TELL = 50
"""Steps after which one that has learned nothing will not begin to."""


class Run:
    """One run of training: the loop, and what it must remember."""

    def __init__(
        self,
        model: VAE,
        data: Data,
        config: Resolved,
        folder: RunFolder | None,
        progress: Progress,
    ) -> None:
        self.model = model
        self.config = config
        self.folder = folder
        self.progress = progress
        self.batches = training_batches(model, data, config, config.device)
        self.validation = None if data.validation is None else data.validation.to(config.device)
        self.step = 0
        self.history = History()
        self.best_weights: dict[str, Tensor] | None = None
        self.without_improvement = 0
        self.clock = time.perf_counter()
        self.clock_step = 0

    def train(self, *, resume: bool) -> History:
        self._begin(resume=resume)
        config, training_step = self.config, self.training_step
        self.progress.start(self.step, config.steps)
        self._restart_clock()
        try:
            take = Taking(training_step, self._gathered)
            if config.execution == "captured":
                take = Captured(training_step, self._gathered)
            with interruptible() as interrupt:
                while self._more() and not self._stopped_early():
                    drawn = self._drawn()
                    take(drawn, self.step)
                    self.step += 1
                    last = not self._more()
                    if last or self.step % config.log_every == 0:
                        self._record("train", training_step.figures())
                        self._check_progress(drawn, last=last)
                    if last or self.step % config.validate_every == 0:
                        self._validate()
                    last = last or interrupt.requested or self._stopped_early()
                    if last or self.step % config.checkpoint_every == 0:
                        self._checkpoint()
                    if interrupt.requested:
                        raise KeyboardInterrupt
        finally:
            self.progress.stop()
        return self._finish()

    def _begin(self, *, resume: bool) -> None:
        """Prepare at step 0, or take up the newest checkpoint."""
        found = checkpoint.newest(self.folder.checkpoints) if self.folder and resume else None
        if found is None:
            self._prepare()
        self.model.prepared = True
        self.training_step = TrainingStep(self.model, self.config)
        if found is not None:
            self._restore(*found)
        elif self.folder is not None:
            self.folder.rewind(0)

    def _prepare(self) -> None:
        batch = self._gathered(self._drawn())
        n = num_examples(self.model, self.batches, self.config)
        if not self.model.prepared:  # else it would lose what it has learned
            self.model.prepare(batch, n)
        self.model.objective.prepare(batch, n)

    def _restore(self, state: checkpoint.State, path: Path) -> None:
        assert self.folder is not None
        step, steps = state.progress["step"], self.config.steps
        if step < 0 or (steps is not None and step > steps):
            raise CheckpointError(f"{path} is none of a run of {counted(steps or 0, 'step')}")
        checkpoint.restore(self.training_step, state, path)
        self.step = step
        self.history = History(self.folder.rewind(step), state.progress["best"])
        self.best_weights = state.group("best") or None
        if state.progress.get("total", self._total()) == self._total():
            self.without_improvement = state.progress["without_improvement"]
        # else the run was made longer, and what stopped it early shall not do so again at once
        self.batches.seek(state.progress.get("position", {}))
        self.progress.message(f"resuming at step {step:,}")

    def _total(self) -> int:
        """How long the run is, in steps, or in passes over a stream of unknown length."""
        return self.config.steps or self.config.epochs

    def _more(self) -> bool:
        """Whether a step follows."""
        steps = self.config.steps
        return (steps is None or self.step < steps) and self.batches.more()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Saves the run as it was before a batch that could not be made, and says so."""
        try:
            yield
        except DataError as error:  # of a stream, or of files, which are read on the way
            if self.folder is None or self.step == 0:
                raise
            if self.folder.safe_step() != self.step:
                self._checkpoint()
            saved = f"The run is saved at step {self.step:,}: go on with resume (--resume)"
            raise DataError(f"{error}. {saved}") from error

    def _drawn(self) -> Drawn:
        """What the host has to say of the next batch."""
        with self._reading():
            return self.batches.draw(self.step)

    def _gathered(self, drawn: Drawn) -> Batch:
        """The batch, on the device."""
        with self._reading():
            x, y, index = self.batches.gather(drawn)
        return Batch(x.to(self.model.dtype), y, index)

    def _record(self, split: str, figures: dict[str, float]) -> dict[str, Any]:
        record: dict[str, Any] = {
            "split": split,
            "step": self.step,
            "epoch": self.batches.epoch(self.step),
            **figures,
        }
        if split == "train":
            record |= self._speed()
        self.history.records.append(record)
        if self.folder is not None:
            self.folder.append(record)
        self.progress.record(record)
        return record

    def _check_progress(self, drawn: Drawn, *, last: bool) -> None:
        """Raise TrainingError where no step can be taken any more, or none could be at all."""
        training = [record for record in self.history.records if record["split"] == "train"]
        for phase, skipped in skipped_in_a_row(training).items():
            if skipped < ENOUGH_TO_TELL and not (last and skipped == self.step):
                continue
            named = f" of phase {phase!r}" if phase else ""
            batch, all_of_them = self._gathered(drawn), skipped == self.step
            steps = (
                f"all {self.step:,}" if all_of_them else f"the last {skipped:,} of {self.step:,}"
            )
            raise TrainingError(
                f"{steps} steps{named} had gradients that are not finite, so nothing "
                f"{'was' if all_of_them else 'more can be'} learned: "
                f"{why_not_finite(self.model, batch)}; or the learning_rate is too high"
                f"{'' if self.history.best is None else '. The best weights before remain'}"
            )

    def _speed(self) -> dict[str, float]:
        seconds = max(time.perf_counter() - self.clock, 1e-9)
        per_second = (self.step - self.clock_step) / seconds
        self._restart_clock()
        speed = {"examples_per_second": per_second * self.config.batch_size, "seconds": seconds}
        if self.config.steps is not None:
            speed["seconds_left"] = (self.config.steps - self.step) / per_second
        return speed

    def _restart_clock(self) -> None:
        self.clock, self.clock_step = time.perf_counter(), self.step

    def _validate(self) -> None:
        if self.validation is None:
            return
        started = time.perf_counter()
        step = torch.tensor(self.step - 1, device=self.config.device)
        average = self.training_step.average
        with average.applied() if average else nullcontext():
            figures = validate(
                self.model,
                self.validation,
                weights=self.model.objective.weights(step),
                binarization=self.config.binarization,
                batch_size=EVALUATION_BATCH,
            )
            record = self._record("validation", figures)
            self.clock += time.perf_counter() - started  # validation is no training time
            self._keep_if_best(record)

    def _keep_if_best(self, record: dict[str, Any]) -> None:
        best = self.history.best
        if self._merit(record) > (-math.inf if best is None else self._merit(best)):
            self.history.best = record
            self.without_improvement = 0
            state = self.model.state_dict()
            self.best_weights = {name: t.detach().clone() for name, t in state.items()}
            self._export()
        else:
            self.without_improvement += 1

    def _merit(self, record: dict[str, Any]) -> float:
        """What the best model has most of: the bound that its objective maximises, mostly the
        ELBO; or minus the loss where it is no bound."""
        own = self.model.objective.maximises
        merit: float = -record["loss"] if self.model.bound == "none" else record[own]
        return merit if math.isfinite(merit) else -math.inf

    def _stopped_early(self) -> bool:
        patience = self.config.patience
        return patience is not None and self.without_improvement >= patience

    def _checkpoint(self) -> None:
        if self.folder is None:
            return
        progress = {
            "step": self.step,
            "total": self._total(),
            "position": self.batches.position(),
            "best": self.history.best and finite(self.history.best),
            "without_improvement": self.without_improvement,
            "names": {u.phase.name: list(u.names) for u in self.training_step.updates},
        }
        tensors = checkpoint.capture(self.training_step, self.best_weights)
        with self.folder.writing():
            state = checkpoint.State(tensors, progress)
            checkpoint.write(self.folder.checkpoints, self.step, state)

    def _export(self) -> None:
        if self.folder is not None:
            best = self.history.best or {}
            names = dict.fromkeys((self.model.objective.maximises, "elbo", "reconstruction", "kl"))
            figures = {f"validation {name}": best[name] for name in names if name in best}
            with self.folder.writing():
                save(self.model, self.folder.model, figures=figures)

    def _finish(self) -> History:
        """Leave the model with its best weights, or its last where nothing was validated."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        elif self.training_step.average is not None:
            self.training_step.average.apply()
        self._export()
        return self.history
