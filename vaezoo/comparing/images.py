"""The pictures of runs, within the page."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CHART_COLORS = 48
ABOUT = {
    "reconstructions": (
        "Reconstructions",
        "each original above the mean of p(x|z) at its posterior mean",
    ),
    "columns": ("Columns", "R² of each column's reconstruction; 1 is perfect"),
    "samples": ("Samples", "means of p(x|z) at draws from the prior"),
    "traversals": ("Traversals", "each row moves one latent dimension of one example"),
    "interpolations": ("Interpolations", "from one example to another, in a line and on an arc"),
    "manifold": ("Manifold", "the decoder over the plane of its two latents"),
    "codes": ("Codes", "a dot for each example's posterior mean"),
    "factors": ("Factors", "the codes, coloured by each known factor of the data"),
    "kl": ("KL", "nats that each latent dimension costs; blue ones are active"),
}
"""The pictures that runs end with, in the order to look at them: title, and what is seen."""
CHARTS = ("columns", "codes", "factors", "kl")
"""Those that hold no examples, so that a few colours do."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as the page holds it."""

    width: int
    height: int
    uri: str


def ordered(names: Iterable[str]) -> list[str]:
    """Names of pictures in the order to look at them, a user's own last."""
    found = {*names}
    return [name for name in ABOUT if name in found] + sorted(found - ABOUT.keys())


def about(name: str) -> tuple[str, str]:
    """A picture's title, and what is seen."""
    return ABOUT.get(name, (name.replace("-", " ").capitalize(), ""))


def embedded(path: Path) -> Picture | None:
    """A picture, written anew without metadata; None where the file is no picture.

    Sheets keep each pixel. Charts get a palette, which makes their files a quarter as large.
    """
    try:
        with Image.open(path, formats=("PNG",)) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if path.stem in CHARTS:
        image = image.quantize(CHART_COLORS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=9, compress_type=zlib.Z_DEFAULT_STRATEGY)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Picture(width=image.width, height=image.height, uri=f"data:image/png;base64,{data}")


def lowest_ratio(pictures: Sequence[Picture]) -> float:
    """Width over height of the frame that all of them fit into, as wide as their column."""
    return min(picture.width / picture.height for picture in pictures)
