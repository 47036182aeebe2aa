"""The trainer: one loop for every variant."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import vaezoo
from vaezoo.batch import Batch
from vaezoo.data import Data, TrainingBatches, as_data
from vaezoo.model import VAE
from vaezoo.options import build
from vaezoo.parts import Folded
from vaezoo.report import draw, measure
from vaezoo.training import checkpoint
from vaezoo.checks import check_data
from vaezoo.training.config import Resolved, TrainingConfig, resolve
from vaezoo.training.history import History
from vaezoo.training.interrupts import interruptible
from vaezoo.training.progress import Progress, make_progress
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.step import TrainingStep
from vaezoo.training.validation import validate
from vaezoo.weights import config_of, save

EVALUATION_BATCH = 1000


def fit(
    model: VAE,
    data: Any,
    *,
    steps: int | None = None,
    epochs: int = 10,
    out: str | Path | None = None,
    validation: Any = None,
    data_root: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> History:
    """Train a model and leave it with the weights of its best validation ELBO.

    data: a data set's name, a Tensor, an array, (x, y), a Dataset, or a ``vaezoo.data.Data``.
    out: a folder for the run (config, metrics, checkpoints, the model, its figures on the test
    split, pictures); without it nothing is written. validation: what to hold out of
    raw data (a share, a count, or examples; default a tenth). The other options are those of
    ``TrainingConfig``. Training draws from ``seed`` and leaves the caller's random state alone.

    Raises OptionError, DataError or RunError before anything is done; after Ctrl-C saves a
    checkpoint and raises KeyboardInterrupt.
    """
    config = build(TrainingConfig, {"steps": steps, "epochs": epochs, **options}, "fit")
    trainer = Trainer(config)
    arguments = {"validation": validation, "data_root": data_root, "progress": progress}
    return trainer.fit(
        model, data, out=out, resume=resume, overwrite=overwrite, **arguments
    )


class Trainer:
    """Training as configured."""

    def __init__(self, config: TrainingConfig | None = None) -> None:
        self.config = config or TrainingConfig()

    def fit(
        self,
        model: VAE,
        data: Any,
        *,
        out: str | Path | None = None,
        validation: Any = None,
        data_root: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool = True,
    ) -> History:
        """What ``vaezoo.fit`` does."""
        root = None if data_root is None else Path(data_root)
        splits = as_data(data, validation=validation, root=root)
        check_data(model, splits)
        batches = TrainingBatches(
            splits.train,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            binarization=self.config.binarization,
        )
        config = resolve(self.config, batches.steps_per_epoch)
        folder = None if out is None else RunFolder(out)
        if folder is not None:
            recorded = run_config(model, splits, config)
            if resume and folder.exists():
                folder.resume(recorded)
            else:
                folder.start(recorded, overwrite=overwrite)
        reporter = make_progress(progress)
        with training(model, config):
            history = Run(model, splits, config, folder, reporter).train(resume=resume)
        if folder is not None:
            reporter.message("measuring, and drawing pictures ...")
            folder.write_figures(measure(model, splits, config.binarization))
            draw(
                model,
                splits,
                folder.samples,
                binarization=config.binarization,
                records=history.records,
            )
        return history

    def resume(self, model: VAE, data: Any, *, out: str | Path, **arguments: Any) -> History:
        """Go on with the run in ``out``; the same as ``fit(..., out=out, resume=True)``."""
        return self.fit(model, data, out=out, resume=True, **arguments)


def run_config(model: VAE, data: Data, config: Resolved) -> dict[str, Any]:
    """What a run's ``config.json`` holds: enough to know, and to repeat, what was done."""
    device = torch.device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "model": config_of(model),
        "data": dict(data.description),
        "training": {**asdict(config), "betas": list(config.betas)},
        "environment": {
            "vaezoo": vaezoo.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "device": name,
            "threads": torch.get_num_threads(),
        },
    }


@contextmanager
def training(model: VAE, config: Resolved) -> Iterator[None]:
    """The state that training needs, and everything as it was afterwards.

    The model stays on the device that it was trained on.
    """
    device = torch.device(config.device)
    model.to(device)
    model.objective.to(device)
    folded = [m for m in model.modules() if isinstance(m, Folded)]
    modes = {m: m.training for m in model.modules()}
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        model.train()
        model.objective.train()
        for module in folded:
            module.autocast = config.autocast
        try:
            yield
        finally:
            for module in folded:
                module.autocast = None
            for module, mode in modes.items():
                module.training = mode


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
                    if last or self.step % config.checkpoint_every == 0 or interrupt.requested:
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
            if self.folder is not None:
                self.folder.rewind(0)
            return TrainingStep(self.model, self.config)
        assert self.folder is not None
        state, path = found
        step = TrainingStep(self.model, self.config)
        checkpoint.restore(step, state, path)
        self.step = state.progress["step"]
        self.without_improvement = state.progress["without_improvement"]
        self.history = History(self.folder.rewind(self.step), state.progress["best"])
        self.best_weights = state.group("best") or None
        self.progress.message(f"resuming at step {self.step:,}")
        return step

    def _batch(self) -> Batch:
        return self.batches.batch(self.step)

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
        last = torch.tensor(self.config.steps - 1, device=self.config.device)
        figures = validate(
            self.model,
            self.validation,
            weights=self.model.objective.weights(last),
            binarization=self.config.binarization,
            batch_size=EVALUATION_BATCH,
        )
        record = self._record("validation", figures)
        self.clock += time.perf_counter() - started  # validation is no training time
        best = self.history.best
        if best is None or self._merit(record) > self._merit(best):
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
        return merit

    def _stopped_early(self) -> bool:
        patience = self.config.patience
        return patience is not None and self.without_improvement >= patience

    def _checkpoint(self, training_step: TrainingStep) -> None:
        if self.folder is None:
            return
        progress = {
            "step": self.step,
            "best": self.history.best,
            "without_improvement": self.without_improvement,
            "names": {u.phase.name: list(u.names) for u in training_step.updates},
        }
        tensors = checkpoint.capture(training_step, self.best_weights)
        state = checkpoint.State(tensors, progress)
        checkpoint.write(self.folder.checkpoints, self.step, state)

    def _export(self) -> None:
        if self.folder is not None:
            best = self.history.best or {}
            names = ("step", "elbo", "reconstruction", "kl")
            figures = {f"validation {n}" if n != "step" else n: best[n] for n in names if n in best}
            save(self.model, self.folder.model, figures=figures)

    def _finish(self) -> History:
        """Leave the model with its best weights, or its last where nothing was validated."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        self._export()
        return self.history
