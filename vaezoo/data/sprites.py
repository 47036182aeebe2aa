"""Sprites: white shapes on black with known factors, rendered by the package. No download.

The factors are those of dSprites (Matthey et al., 2017,
https://github.com/google-deepmind/dsprites-dataset), and so is their order. A step in x or y is
one pixel, so a shape looks the same everywhere: each of the 720 shapes, scales and orientations
is drawn once, as a tile, and an image is a tile put in its place.

Shapes: n images, T = 720 tiles, P = 33 * 33 pixels of a tile.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from vaezoo.data.files import drawn
from vaezoo.data.source import Source, Subset
from vaezoo.data.splits import Data, named_splits
from vaezoo.options import to_json

FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")

SIZE = 64
TILE = 33  # odd: a shape's centre lies on the middle of its tile's middle pixel
CHUNK = 4096  # images rendered at once: bounds the memory beside the images themselves
COUNT = math.prod(FACTOR_SIZES)
TILES = math.prod(FACTOR_SIZES[:3])
PLACES = FACTOR_SIZES[3] * FACTOR_SIZES[4]

# At scale 1, in pixels. All three reach at most 15.5 from their centre, so that even the
# antialiased rim stays inside of the tile, and the tile inside of the image.
HALF_SIDE = 10.5
SEMI_AXES = (15.25, 7.75)
HEART_RADIUS = 7.74


def factors(index: Tensor) -> Tensor:
    """What the images at ``index`` show: (n,) int64 to (n, 5) int64, as FACTOR_NAMES says."""
    columns = []
    for size in reversed(FACTOR_SIZES):
        columns.append(index % size)
        index = index // size
    return torch.stack(columns[::-1], dim=1)


def index_of(factors: Tensor) -> Tensor:
    """The index of the images that show ``factors``: (n, 5) int64 to (n,) int64."""
    index = torch.zeros_like(factors[:, 0])
    for column, size in enumerate(FACTOR_SIZES):
        index = index * size + factors[:, column]
    return index


class Sprites(Source):
    """All 737,280 images: (n, 1, 64, 64) uint8, labelled by shape.

    - shape: square, ellipse, heart
    - scale: 0.5, 0.6, ..., 1
    - orientation: 40 angles from 0 to 2 pi, both included as in dSprites (so the first and the
      last look the same), counter-clockwise
    - x: 32 pixels, left to right
    - y: 32 pixels, top to bottom
    """

    shape = (1, SIZE, SIZE)
    num_classes = len(SHAPES)
    rendered = True
    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES

    def __init__(self) -> None:
        self._tiles = tiles()  # (T, P) uint8
        row, column = torch.arange(TILE).unsqueeze(1), torch.arange(TILE)
        self._pixels = (row * SIZE + column).flatten()  # (P,) of a tile in the upper left corner
        self.device = self._tiles.device

    def __len__(self) -> int:
        return COUNT

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images = torch.zeros(len(index), SIZE * SIZE, dtype=torch.uint8, device=index.device)
        for start in range(0, len(index), CHUNK):
            some, out = index[start : start + CHUNK], images[start : start + CHUNK]
            x, y = some // FACTOR_SIZES[4] % FACTOR_SIZES[3], some % FACTOR_SIZES[4]
            corner = y * SIZE + x  # the tile's first pixel in the image
            out.scatter_(1, corner.unsqueeze(1) + self._pixels, self._tiles[some // PLACES])
        label = index // (COUNT // len(SHAPES))
        return images.view(-1, *self.shape), label

    def factors(self, index: Tensor) -> Tensor:
        return factors(index)

    def to(self, device: torch.device | str) -> Sprites:
        other = copy.copy(self)
        other._tiles, other._pixels = self._tiles.to(device), self._pixels.to(device)
        other.device = other._tiles.device
        return other


@cache
def tiles() -> Tensor:
    """Every shape, scale and orientation, drawn on the CPU: (T, P) uint8.

    In double precision, so that machines agree on the rounding to 0..255. Not to be changed.
    """
    scale = torch.linspace(0.5, 1.0, FACTOR_SIZES[1], dtype=torch.float64).view(-1, 1, 1, 1)
    angle = torch.linspace(0.0, 2 * math.pi, FACTOR_SIZES[2], dtype=torch.float64)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    across = torch.arange(TILE, dtype=torch.float64) - TILE // 2  # to the right
    up = -across.unsqueeze(1)
    # The pixel in the shape's own, upright frame: turned clockwise by the angle.
    u = cos * across + sin * up  # (40, 33, 33)
    v = cos * up - sin * across
    distance = torch.stack(
        [
            _square(u, v, HALF_SIDE * scale),  # (6, 40, 33, 33)
            _ellipse(u, v, SEMI_AXES[0] * scale, SEMI_AXES[1] * scale),
            _heart(u, v, HEART_RADIUS * scale),
        ]
    )
    coverage = (0.5 - distance).clamp(0, 1)  # of a pixel, the edge taken as straight
    return (coverage * 255).round().to(torch.uint8).view(TILES, TILE * TILE)


# Signed distances to an edge, in pixels, negative inside; u to the right, v up.


def _square(u: Tensor, v: Tensor, half_side: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - half_side


def _ellipse(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """To first order: (r - 1) / |grad r| with r = sqrt((u/a)^2 + (v/b)^2)."""
    r = torch.hypot(u / a, v / b)
    slope = torch.hypot(u / a**2, v / b**2) / r.clamp(min=1e-6)
    return (r - 1) / slope.clamp(min=1e-6)


def _heart(u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    """Two discs that overlap a little, and the kite between their tangents; centroid at 0.

    In radii, from the middle of the discs: these are centred at (+-c, 0), the tip is at (0, -t),
    and the notch, where the discs meet above, at (0, n). It is as deep as can still be a heart:
    a shallow one is no more than a pixel at the smallest scale.
    """
    c, t, centroid = 0.95, 2.2, -0.3137
    n = math.sqrt(1 - c**2)
    u, v = u.abs() / radius, v / radius + centroid
    disc = torch.hypot(u - c, v) - 1
    # The line through the tip that touches the disc, with its normal (cos a, -sin a).
    a = math.atan2(c, t) + math.asin(1 / math.hypot(c, t))
    tangent = math.cos(a) * u - math.sin(a) * (v + t)
    # The line from the notch to where that one touches: above it there is nothing but discs.
    across, down = c + math.cos(a), n + math.sin(a)
    top = (down * u + across * (v - n)) / math.hypot(across, down)
    return radius * torch.minimum(disc, torch.maximum(tangent, top))


@dataclass(frozen=True, kw_only=True)
class SpritesOptions:
    """How the images are split."""

    validation: int = 2_000
    """Images held out for validation; 0 for none."""
    test: int = 5_000
    """Images held out for the test; 0 for none."""

    def __post_init__(self) -> None:
        if self.validation < 0 or self.test < 0 or self.validation + self.test >= COUNT:
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) must be 0 or more, and "
                f"leave some of the {COUNT} images for training"
            )


def sprites(options: SpritesOptions, root: Path | None) -> Data:
    """The sprites, split at random once and for all. ``root`` is not used: nothing is read."""
    source = Sprites()
    counts = {"test": options.test, "validation": options.validation}
    splits = {
        name: (Subset(source, places), rule)
        for name, (places, rule) in drawn(COUNT, counts, seed=0).items()
    }
    return named_splits("sprites", splits, options=to_json(options), classes=SHAPES)
