"""The loop: steps, records, validation, checkpoints, and the best weights."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.batch import Batch
from vaezoo.data import Data, TrainingBatches
from vaezoo.errors import CheckpointError
from vaezoo.inference import forked_generators, seed_generators
from vaezoo.model import VAE
from vaezoo.parts import Folded
from vaezoo.training import checkpoint
from vaezoo.training.config import Resolved
from vaezoo.training.history import History
from vaezoo.training.interrupts import interruptible
from vaezoo.training.progress import Progress
from vaezoo.training.run_folder import RunFolder, finite
from vaezoo.training.step import TrainingStep
from vaezoo.training.validation import validate
from vaezoo.weights import save

EVALUATION_BATCH = 1000


@contextmanager
def training(model: VAE, config: Resolved) -> Iterator[None]:
    """The state that training needs, and everything as it was afterwards.

    The model stays on the device that it was trained on.
    """
    device = torch.device(config.device)
    model.to(device)
    model.objective.to(device)
    folded = [m for m in model.modules() if isinstance(m, Folded)]
    modes = {m: m.training for part in (model, model.objective) for m in part.modules()}
    validating = Distribution._validate_args  # there is no public getter
    with forked_generators(device):
        seed_generators(config.seed, device)
        model.train()
        model.objective.train()
        for f in folded:
            f.autocast = config.autocast
        try:
            yield
        finally:
            for f in folded:
                f.autocast = None
            for module, mode in modes.items():
                module.training = mode
            # torch.compile switches validation off for the whole process when first used.
            Distribution.set_default_validate_args(validating)


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
        self.batches = TrainingBatches(
            data.train.to(config.device),
            batch_size=config.batch_size,
            seed=config.seed,
            binarization=config.binarization,
        )
        self.validation = None if data.validation is None else data.validation.to(config.device)
        self.step = 0
        self.history = History()
        self.best_weights: dict[str, Tensor] | None = None
        self.without_improvement = 0
        self.clock = time.perf_counter()
        self.clock_step = 0

    def train(self, *, resume: bool) -> History:
        training_step = self._begin(resume=resume)
        config, steps = self.config, self.config.steps
        self.progress.start(self.step, steps)
        self._restart_clock()
        try:
            with interruptible() as interrupt:
                while self.step < steps and not self._stopped_early():
                    training_step(self._batch(), self.step)
                    self.step += 1
                    last = self.step == steps
                    if last or self.step % config.log_every == 0:
                        self._record("train", training_step.figures())
                    if last or self.step % config.validate_every == 0:
                        self._validate()
                    last = last or interrupt.requested or self._stopped_early()
                    if last or self.step % config.checkpoint_every == 0:
                        self._checkpoint(training_step)
                    if interrupt.requested:
                        raise KeyboardInterrupt
        finally:
            self.progress.stop()
        return self._finish()

    def _begin(self, *, resume: bool) -> TrainingStep:
        """Prepare at step 0, or take up the newest checkpoint."""
        found = checkpoint.newest(self.folder.checkpoints) if self.folder and resume else None
        if found is None:
            batch = self._batch()
            for module in (self.model, self.model.objective):
                module.prepare(batch, len(self.batches.source))
            step = TrainingStep(self.model, self.config)
            if self.folder is not None:
                self.folder.rewind(0)
            return step
        assert self.folder is not None
        state, path = found
        if not 0 <= state.progress["step"] <= self.config.steps:
            raise CheckpointError(f"{path} is none of a run of {self.config.steps} steps")
        step = TrainingStep(self.model, self.config)
        checkpoint.restore(step, state, path)
        self.step = state.progress["step"]
        self.without_improvement = state.progress["without_improvement"]
        self.history = History(self.folder.rewind(self.step), state.progress["best"])
        self.best_weights = state.group("best") or None
        self.progress.message(f"resuming at step {self.step:,}")
        return step

    def _batch(self) -> Batch:
        x, y, index = self.batches.batch(self.step)
        return Batch(x.to(self.model.dtype), y, index)

    def _record(self, split: str, figures: dict[str, float]) -> dict[str, Any]:
        record: dict[str, Any] = {
            "split": split,
            "step": self.step,
            "epoch": self.step / self.batches.steps_per_epoch,
            **figures,
        }
        if split == "train":
            record |= self._speed()
        self.history.records.append(record)
        if self.folder is not None:
            self.folder.append(record)
        self.progress.record(record)
        return record

    def _speed(self) -> dict[str, float]:
        seconds = max(time.perf_counter() - self.clock, 1e-9)
        per_second = (self.step - self.clock_step) / seconds
        self._restart_clock()
        return {
            "images_per_second": per_second * self.config.batch_size,
            "seconds": seconds,
            "seconds_left": (self.config.steps - self.step) / per_second,
        }

    def _restart_clock(self) -> None:
        self.clock, self.clock_step = time.perf_counter(), self.step

    def _validate(self) -> None:
        if self.validation is None:
            return
        started = time.perf_counter()
        step = torch.tensor(self.step - 1, device=self.config.device)
        figures = validate(
            self.model,
            self.validation,
            weights=self.model.objective.weights(step),
            binarization=self.config.binarization,
            batch_size=EVALUATION_BATCH,
        )
        record = self._record("validation", figures)
        self.clock += time.perf_counter() - started  # validation is no training time
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
        """What the best model has most of: the ELBO, or minus the loss where it is no bound."""
        merit: float = -record["loss"] if self.model.bound == "none" else record["elbo"]
        return merit if math.isfinite(merit) else -math.inf

    def _stopped_early(self) -> bool:
        patience = self.config.patience
        return patience is not None and self.without_improvement >= patience

    def _checkpoint(self, training_step: TrainingStep) -> None:
        if self.folder is None:
            return
        progress = {
            "step": self.step,
            "best": self.history.best and finite(self.history.best),
            "without_improvement": self.without_improvement,
            "names": {u.phase.name: list(u.names) for u in training_step.updates},
        }
        tensors = checkpoint.capture(training_step, self.best_weights)
        state = checkpoint.State(tensors, progress)
        checkpoint.write(self.folder.checkpoints, self.step, state)

    def _export(self) -> None:
        if self.folder is not None:
            best = self.history.best or {}
            names = ("elbo", "reconstruction", "kl")
            figures = {f"validation {name}": best[name] for name in names if name in best}
            save(self.model, self.folder.model, figures=figures)

    def _skips(self) -> list[str]:
        """The figures that count skipped steps, one for each phase."""
        names = {name for record in self.history.records for name in record}
        return [name for name in names if name.split("/")[0] == "skipped"] or ["skipped"]

    def _finish(self) -> History:
        """Leave the model with its best weights, or its last where nothing was validated."""
        skipped = max(sum(self.history.column(name)) for name in self._skips())
        if skipped:
            warnings.warn(
                f"{skipped:,.0f} of {self.step:,} training steps were skipped because their "
                f"gradients were not finite: lower learning_rate, or set clip_norm",
                UserWarning,
                stacklevel=2,
            )
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        self._export()
        return self.history
