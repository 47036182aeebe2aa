"""The real dSprites (Matthey et al., 2017), from the file that its authors distribute.

https://github.com/google-deepmind/dsprites-dataset. A pixel is 0 or 1, so eight fit a byte: the
737,280 images take 360 MiB instead of 2.8 GiB.

Shapes: N images, n images asked for.
"""

from __future__ import annotations

import copy
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.data.array_files import open_arrays
from vaezoo.data.files import drawn
from vaezoo.data.source import Source, Subset
from vaezoo.data.splits import Data, named_splits
from vaezoo.data.sprites import FACTOR_NAMES, FACTOR_SIZES, SHAPES, SIZE
from vaezoo.data.vision import data_root
from vaezoo.errors import DataError
from vaezoo.options import to_json

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
IMAGES, FACTORS = "imgs", "latents_classes"  # `metadata` is a pickle, and is not opened
CHUNK = 8192


@dataclass(frozen=True, kw_only=True)
class DSpritesOptions:
    """Where the file is, and how its images are split."""

    path: str | None = None
    """The .npz file. Default: looked for in the data root, or its folder dsprites."""
    validation: int = 2_000
    """Images held out for validation; 0 for none."""
    test: int = 5_000
    """Images held out for the test; 0 for none."""

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0:
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) must be 0 or more"
            )


class DSprites(Source):
    """Binary images (n, 1, 64, 64) uint8, labelled by shape, with their factors.

    packed: (N, 512) uint8, eight pixels in each. classes: (N, 5) uint8, a factor's value in each
    column, as FACTOR_NAMES says.
    """

    shape = (1, SIZE, SIZE)
    num_classes = len(SHAPES)
    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES

    def __init__(self, packed: Tensor, classes: Tensor) -> None:
        self._packed, self._classes = packed, classes
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
        self.device = packed.device

    def __len__(self) -> int:
        return len(self._packed)

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor]:
        bits = (self._packed[index].unsqueeze(-1) >> self._shifts) & 1  # (n, 512, 8)
        return bits.mul_(255).view(-1, *self.shape), self._classes[index, 0].long()

    def factors(self, index: Tensor) -> Tensor:
        return self._classes[index].long()

    def to(self, device: torch.device | str) -> DSprites:
        other = copy.copy(self)
        other._packed, other._classes = self._packed.to(device), self._classes.to(device)
        other._shifts = self._shifts.to(device)
        other.device = other._packed.device
        return other


def dsprites(options: DSpritesOptions, root: Path | None) -> Data:
    """All images, split at random once and for all."""
    path = _find(options.path, root)
    source = read_dsprites(path)
    counts = {"test": options.test, "validation": options.validation}
    if sum(counts.values()) >= len(source):
        raise DataError(
            f"{path} holds {len(source)} images: validation ({options.validation}) and test "
            f"({options.test}) leave none for training"
        )
    splits = {
        name: (Subset(source, places), rule)
        for name, (places, rule) in drawn(len(source), counts, seed=0).items()
    }
    recorded = {**to_json(options), "path": options.path and str(path)}
    return named_splits("dsprites", splits, options=recorded, classes=SHAPES)


def read_dsprites(path: Path) -> DSprites:
    """All images of the file. Raises DataError for one that is not as its authors made it."""
    file = open_arrays(path)
    missing = [key for key in (IMAGES, FACTORS) if key not in file.keys]
    if missing:
        raise DataError(f"{path} is not dSprites: it lacks the array {' and '.join(missing)}")
    classes = np.asarray(file[FACTORS])
    if classes.ndim != 2 or classes.shape[1] != 6 or classes.dtype.kind not in "iu":
        raise DataError(f"{file.where(FACTORS)} must be integers (N, 6), not {classes.shape}")
    classes = classes[:, 1:]  # without the colour, which is always white
    if (classes < 0).any() or (classes >= FACTOR_SIZES).any():
        raise DataError(f"{file.where(FACTORS)} has values beyond {FACTOR_SIZES}")
    packed = _packed(path)
    if len(packed) != len(classes):
        raise DataError(f"{path} holds {len(packed)} images but {len(classes)} rows of factors")
    return DSprites(torch.from_numpy(packed), torch.from_numpy(classes.astype(np.uint8)))


def _find(path: str | None, root: Path | None) -> Path:
    folder = data_root(root)
    places = [Path(path).expanduser()] if path else [folder / FILE, folder / "dsprites" / FILE]
    for place in places:
        if place.is_file():
            return place.resolve()
    raise DataError(
        f"there is no {places[0]}: get dSprites from "
        f"https://github.com/google-deepmind/dsprites-dataset, and give the file itself for data, "
        f"or put it into --data-root"
    )


def _packed(path: Path) -> NDArray[np.uint8]:
    """The images with eight pixels in a byte, (N, 512), read a part at a time."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{IMAGES}.npy") as file:
            size = _header(file, path)
            packed = np.empty((size, SIZE * SIZE // 8), np.uint8)
            for start in range(0, size, CHUNK):
                some = min(CHUNK, size - start)
                read = np.frombuffer(file.read(some * SIZE * SIZE), np.uint8)
                pixels = read.reshape(some, SIZE * SIZE)
                if pixels.max() > 1:
                    raise DataError(f"{path}: the images of dSprites are of 0 and 1 alone")
                packed[start : start + some] = np.packbits(pixels, axis=1)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read ({error}); the file is damaged") from error
    return packed


def _header(file: IO[bytes], path: Path) -> int:
    """How many images follow."""
    version = np.lib.format.read_magic(file)
    first = version == (1, 0)
    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if shape[1:] != (SIZE, SIZE) or dtype.itemsize != 1 or fortran or not shape[0]:
        raise DataError(f"{path} is not dSprites: {IMAGES} is {dtype} of shape {shape}")
    return int(shape[0])
