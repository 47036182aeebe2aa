"""Training a model: the face of the shared trainer."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import vaezoo
from vaezoo.checks import check_data, check_model, warn_of_scale
from vaezoo.data import Data, as_data
from vaezoo.data.progress import Lines, listening
from vaezoo.errors import DataWarning, OptionError, TrainingWarning
from vaezoo.model import VAE, check_is_model
from vaezoo.options import build
from vaezoo.report import draw, measure
from vaezoo.shown import Shown
from vaezoo.training.batches import training_batches
from vaezoo.training.config import Resolved, TrainingConfig, as_recorded, resolve, sized
from vaezoo.training.diagnosis import diagnose
from vaezoo.training.fingerprint import fingerprint
from vaezoo.training.history import History
from vaezoo.training.loop import Run
from vaezoo.training.mode import training
from vaezoo.training.overrides import overrides as changed_options
from vaezoo.training.progress import Progress, Several, make_progress
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.tensorboard import TensorBoard
from vaezoo.weights import config_of


def fit(
    model: VAE,
    data: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    out: str | Path | None = None,
    validation: Any = None,
    data_root: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> History:
    """Train a model and leave it with the weights of its best validation ELBO, or of the bound
    that its objective maximises.

    data: a data set's name, the path of a file or folder, or either with options as in
    ``{"path": "photos", "image_size": 64}``; a Tensor, an array, (x, y), a Dataset, a
    ``vaezoo.data.Data``; or a stream: a DataLoader of one's own, an IterableDataset, any iterable
    of batches. What files needed to be read so, such as the mean and standard deviation of
    columns, becomes the model's ``preprocessing`` and is saved with it. out: a folder
    for the run (config, metrics, checkpoints, the model, its figures on the test split,
    pictures); without it nothing is written. validation: what to hold out of raw data (a share,
    a count, or examples; default a tenth, and nothing of a stream). resume: go on with the run in
    ``out``, for longer if more steps or epochs are asked for. The other options are those of
    ``TrainingConfig``. Training draws from ``seed`` and leaves the caller's random state alone;
    since torch's generators belong to the process, train in one thread at a time.

    Raises OptionError, DataError or RunError before anything is done. A batch of a stream that
    cannot be read raises DataError, a folder that can no longer be written RunError, with the
    run saved as far as it came; Ctrl-C saves a checkpoint and raises KeyboardInterrupt.
    TrainingWarning tells of steps skipped and latents not used.
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
        overrides: Mapping[str, Any] | None = None,
    ) -> History:
        """What ``vaezoo.fit`` does.

        overrides: for the run's record, what was asked for against the defaults; None works it
        out.
        """
        if resume and overwrite:
            raise OptionError("give resume or overwrite, not both")
        check_is_model(model)
        root = None if data_root is None else Path(data_root)
        splits = as_data(data, validation=validation, root=root)
        check_data(model, splits)
        check_model(model, splits)
        warn_of_scale(model, splits)
        if splits.preprocessing is not None:
            if model.prepared and model.preprocessing not in (None, splits.preprocessing):
                warnings.warn(
                    f"{splits.title} is read otherwise than what the model was trained on before "
                    f"(other sizes, columns, means or deviations): its weights start from there, "
                    f"but from now on it reads data like {splits.title}",
                    DataWarning,
                    stacklevel=3,
                )
            model.preprocessing = splits.preprocessing
        if splits.classes and len(splits.classes) == model.num_classes:
            model.classes = splits.classes
        folder = None if out is None else RunFolder(out)
        recorded = folder.config()["training"] if folder and resume and folder.exists() else None
        asked = self.config if recorded is None else as_recorded(self.config, recorded)
        config = resolve_for(model, splits, asked)
        reporter = make_progress(progress, model.objective.maximises)
        if splits.stream is not None and splits.validation is None:
            reporter.message("no validation: a stream holds nothing out; give validation=data")
        if folder is None:
            if config.log is not None:
                raise OptionError(f"log {config.log!r} is written to the run's folder: give out")
            return self._run(model, splits, config, None, reporter, resume=False)
        board = make_log(model, splits, config, folder)
        reporter = reporter if board is None else Several(reporter, board)
        with folder.locked():
            description = run_config(model, splits, config)
            if recorded is not None:
                folder.resume(description)
                if not folder.safe_step():
                    reporter.message("the run holds no checkpoint yet: it begins anew")
            else:
                said = changed_options(self.config, model) if overrides is None else overrides
                folder.start(beginning(description, model, said), overwrite=overwrite)
            history = self._run(model, splits, config, folder, reporter, resume=resume)
            reporter.message("measuring, and drawing pictures ...")
            with listening(Lines(reporter.message)):
                self._finish(model, splits, config, folder, history, board)
        return history

    def _finish(
        self,
        model: VAE,
        data: Data,
        config: Resolved,
        folder: RunFolder,
        history: History,
        board: TensorBoard | None,
    ) -> None:
        figures = measure(model, data, config.binarization)
        with folder.writing():
            drawn = draw(
                model,
                data,
                folder.samples,
                binarization=config.binarization,
                records=history.records,
            )
            if board is not None:
                board.pictures(drawn)
        # Last: their file says that the run is finished.
        told = {"warnings": history.warnings} if history.warnings else {}
        folder.write_figures({**figures, **told})

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
            history = Run(model, data, config, folder, progress).train(resume=resume)
        history.warnings = diagnose(model, data, config.binarization, history.records)
        for message in history.warnings:
            warnings.warn(message, TrainingWarning, stacklevel=4)
        return history

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


def resolve_for(model: VAE, data: Data, config: TrainingConfig) -> Resolved:
    """The config with nothing left open. Raises OptionError or DataError."""
    config = sized(config, None if data.stream is not None else len(data.train))
    return resolve(config, training_batches(model, data, config).steps_per_epoch)


def beginning(
    config: Mapping[str, Any], model: VAE, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """A new run's ``config.json``: its config, and what is known when it begins."""
    training = config["training"]
    return {
        **config,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "init_from": model.origin,
        "overrides": dict(overrides),
        "totals": [{"from_step": 0, "steps": training["steps"], "epochs": training["epochs"]}],
    }


def run_config(model: VAE, data: Data, config: Resolved) -> dict[str, Any]:
    """What a run must agree in to be resumed: enough to know, and to repeat, what was done."""
    device = torch.device(config.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    training = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}
    return {
        "model": config_of(model),
        "data": {**data.description, "fingerprint": fingerprint(data)},
        "training": training,
        "environment": {
            "vaezoo": vaezoo.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "device": name,
            "threads": torch.get_num_threads(),
        },
    }
