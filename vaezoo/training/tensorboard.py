"""A run's records and pictures for TensorBoard, beside what the run's folder holds anyway."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vaezoo import pictures
from vaezoo.errors import MissingRequirementError, VaezooError
from vaezoo.shown import Shown

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVENTS = "events.out.tfevents.*"
NOT_FIGURES = ("split", "step")
ORIGINALS, SAMPLES = 10, 20  # images of each validation


class TensorBoard:
    """Told of training as a Progress is, it writes event files to a folder.

    Scalars are the figures of ``metrics.jsonl``, as train/elbo or validation/kl; what is not
    finite is left out. Each validation brings a few reconstructions and samples. What an earlier
    process wrote after the step at which a run is taken up again is dropped by TensorBoard.

    Raises MissingRequirementError where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, shown: Shown) -> None:
        require_tensorboard()
        self.folder = folder
        self.shown = shown
        self.step = 0
        self.taken_up = False
        self.writer: SummaryWriter | None = None

    def start(self, step: int, steps: int | None) -> None:
        self.step = step
        self.taken_up = any(self.folder.glob(EVENTS))
        self.writer = self._open(purge_step=step + 1 if self.taken_up else None)

    def record(self, record: Mapping[str, Any]) -> None:
        assert self.writer is not None
        self.step, split = record["step"], record["split"]
        for name, value in record.items():
            if name not in NOT_FIGURES and isinstance(value, Real) and math.isfinite(value):
                self.writer.add_scalar(f"{split}/{name}", float(value), self.step)
        for name, image in self._images() if split == "validation" else ():
            _add(self.writer, f"{split}/{name}", image, self.step)
        self.writer.flush()  # a crash loses nothing

    def message(self, text: str) -> None: ...

    def stop(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def pictures(self, paths: Iterable[Path]) -> None:
        """Add what a run ends with, one step after the last.

        So a run that is taken up again drops it first, even one that had come to its last step.
        """
        writer = self._open()
        for path in paths:
            with Image.open(path) as image:
                _add(writer, f"pictures/{path.stem}", image, self.step + 1)
        writer.close()

    def _open(self, purge_step: int | None = None) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if self.taken_up:
            wait_for_a_name(self.folder)
        return SummaryWriter(str(self.folder), purge_step=purge_step)

    def _images(self) -> Iterator[tuple[str, Image.Image]]:
        """What the model makes of a few examples, and by itself, as far as it can."""
        shown = self.shown
        if not shown.images:
            return
        x, y = shown.examples(range(min(ORIGINALS, len(shown.source))))
        try:
            yield "reconstructions", pictures.reconstructions(shown.model, x, y, of=shown.of)
            yield "samples", pictures.samples(shown.model, SAMPLES)
        except VaezooError:  # the pictures at the end of the run say why
            return


def wait_for_a_name(folder: Path) -> None:
    """Wait, a second at most, until a new event file comes last in the order of names.

    In that order TensorBoard reads them, to drop what came before; a name tells but the second.
    """
    seconds = {path.name.split(".")[3] for path in folder.glob(EVENTS)}
    while f"{int(time.time()):010d}" in seconds:
        time.sleep(0.02)


def require_tensorboard() -> None:
    """Raise MissingRequirementError unless TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        raise MissingRequirementError(
            "log 'tensorboard' needs the package tensorboard: pip install 'vaezoo[tensorboard]'"
        )


def _add(writer: SummaryWriter, tag: str, image: Image.Image, step: int) -> None:
    pixels = np.asarray(image.convert("RGB"))
    writer.add_image(tag, pixels, step, dataformats="HWC")
