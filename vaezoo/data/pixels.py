"""One image file to the pixels that a model takes.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vaezoo.data.preprocessing import ImagePreprocessing
from vaezoo.errors import DataError
from vaezoo.registry.paths import IMAGES

ORIENTATION = 0x0112  # the EXIF tag; from 5 on, width and height change places
MODES = {"grey": "L", "rgb": "RGB"}
HEIF = {".heic", ".heif"}
TIFF = (b"II*\0", b"MM\0*")
"""How such files begin."""
RATHER = "save it in 8 or 16 bits, or give arrays (.npy)"
SUFFIXES = IMAGES
"""Of the files that are taken for images."""


@dataclass(frozen=True)
class Look:
    """What an image file says of itself, without its pixels."""

    height: int
    width: int
    grey: bool


def look(path: Path) -> Look:
    """Size, once upright, and whether it is stored grey. Raises whatever Pillow raises."""
    with _opened(path) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION, 1) >= 5:
            width, height = height, width
        grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
        return Look(height, width, grey)


def read(path: Path, preprocessing: ImagePreprocessing) -> NDArray[np.uint8]:
    """(C, H, W), upright, transparent parts on white; of an animation its first image.

    Raises whatever Pillow raises for a damaged file.
    """
    height, width = preprocessing.image_size
    with _opened(path) as image:
        side = 2 * max(height, width)
        image.draft(None, (side, side))  # a JPEG far too large is decoded smaller, and faster
        upright = ImageOps.exif_transpose(image)
        flat = _resized(_flat(upright, MODES[preprocessing.mode]), preprocessing)
        pixels = np.asarray(flat)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _opened(path: Path) -> Image.Image:
    """The image, not decoded yet. Raises DataError for a kind that Pillow does not read."""
    kind = path.suffix.lower()
    if kind in HEIF and kind not in Image.registered_extensions():
        try:
            import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise DataError(
                "Pillow reads HEIC only with the package pillow-heif: pip install pillow-heif"
            ) from error
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        with path.open("rb") as file:
            if file.read(4) not in TIFF:
                raise
        raise DataError(
            f"Pillow does not read this kind of TIFF, such as several channels of floating-point "
            f"numbers: {RATHER}"
        ) from error


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """The image in 8 bits, without transparency."""
    if image.mode == "F":
        raise DataError(
            f"its pixels are floating-point numbers, whose range is not known: {RATHER}"
        )
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Of 16 bits the upper ones, rounded: 65535 becomes 255. Raises DataError for more bits."""
    values: NDArray[Any] = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):
        raise DataError(
            f"its pixels are whole numbers of {low:.0f} to {high:.0f}, which are no 16 bits from "
            f"0 on: {RATHER}"
        )
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _resized(image: Image.Image, preprocessing: ImagePreprocessing) -> Image.Image:
    """By bicubic interpolation with antialiasing."""
    height, width = preprocessing.image_size
    size, bicubic = (width, height), Image.Resampling.BICUBIC
    if image.size == size:
        return image
    if preprocessing.resize == "crop":  # as large as it covers all, then its middle
        return ImageOps.fit(image, size, bicubic)
    if preprocessing.resize == "pad":  # as large as it fits in, on black
        return ImageOps.pad(image, size, bicubic)
    return image.resize(size, bicubic)
