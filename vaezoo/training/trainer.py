"""Training a model: the face of the shared trainer."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import vaezoo
from vaezoo.checks import check_data, check_model
from vaezoo.data import Data, TrainingBatches, as_data
from vaezoo.errors import OptionError
from vaezoo.model import VAE
from vaezoo.options import build
from vaezoo.report import draw, measure
from vaezoo.shown import Shown
from vaezoo.training.config import Resolved, TrainingConfig, resolve
from vaezoo.training.fingerprint import fingerprint
from vaezoo.training.history import History
from vaezoo.training.loop import Run, training
from vaezoo.training.progress import Progress, Several, make_progress
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.tensorboard import TensorBoard
from vaezoo.weights import config_of


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
    ``TrainingConfig``. Training draws from ``seed`` and leaves the caller's random state alone;
    since torch's generators belong to the process, train in one thread at a time.

    Raises OptionError, DataError or RunError before anything is done; after Ctrl-C saves a
    checkpoint and raises KeyboardInterrupt.
    """
    config = build(TrainingConfig, {"steps": steps, "epochs": epochs, **options}, "fit")
    trainer = Trainer(config)
    arguments = {"validation": validation, "data_root": data_root, "progress": progress}
    return trainer.fit(model, data, out=out, resume=resume, overwrite=overwrite, **arguments)


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
        if resume and overwrite:
            raise OptionError("give resume or overwrite, not both")
        root = None if data_root is None else Path(data_root)
        splits = as_data(data, validation=validation, root=root)
        check_data(model, splits)
        check_model(model, splits)
        batches = TrainingBatches(
            splits.train,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            binarization=self.config.binarization,
        )
        config = resolve(self.config, batches.steps_per_epoch)
        reporter = make_progress(progress)
        if out is None:
            if config.log is not None:
                raise OptionError(f"log {config.log!r} is written to the run's folder: give out")
            return self._run(model, splits, config, None, reporter, resume=False)
        folder = RunFolder(out)
        board = make_log(model, splits, config, folder)
        reporter = reporter if board is None else Several(reporter, board)
        with folder.locked():
            recorded = run_config(model, splits, config)
            if resume and folder.exists():
                folder.resume(recorded)
            else:
                folder.start(recorded, overwrite=overwrite)
            history = self._run(model, splits, config, folder, reporter, resume=resume)
            reporter.message("measuring, and drawing pictures ...")
            figures = measure(model, splits, config.binarization)
            drawn = draw(
                model,
                splits,
                folder.samples,
                binarization=config.binarization,
                records=history.records,
            )
            if board is not None:
                board.pictures(drawn)
            folder.write_figures(figures)  # last: their file says that the run is finished
        return history

    def _run(
        self,
        model: VAE,
        data: Data,
        config: Resolved,
        folder: RunFolder | None,
        progress: Progress,
        *,
        resume: bool,
    ) -> History:
        with training(model, config):
            return Run(model, data, config, folder, progress).train(resume=resume)

    def resume(self, model: VAE, data: Any, *, out: str | Path, **arguments: Any) -> History:
        """Go on with the run in ``out``; the same as ``fit(..., out=out, resume=True)``."""
        return self.fit(model, data, out=out, resume=True, **arguments)


def make_log(model: VAE, data: Data, config: Resolved, folder: RunFolder) -> TensorBoard | None:
    """What is told of training beside the progress on the screen."""
    if config.log is None:
        return None
    # Not of the test split, which is for the end.
    split = "train" if data.validation is None else "validation"
    shown = Shown(model=model, data=data, split=split, binarization=config.binarization)
    return TensorBoard(folder.tensorboard, shown)


def run_config(model: VAE, data: Data, config: Resolved) -> dict[str, Any]:
    """What a run's ``config.json`` holds: enough to know, and to repeat, what was done."""
    device = torch.device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "model": config_of(model),
        "data": {**data.description, "fingerprint": fingerprint(data.train)},
        "training": {**asdict(config), "betas": list(config.betas)},
        "environment": {
            "vaezoo": vaezoo.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "device": name,
            "threads": torch.get_num_threads(),
        },
    }
