"""What the tests of pictures share: finding colours, and hearing what is written."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vaezoo.pictures import text


def pixels(picture: Image.Image, color: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where exactly this colour is: (x, y), row by row."""
    ys, xs = np.nonzero((np.asarray(picture) == color[:3]).all(axis=-1))
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def box(picture: Image.Image, color: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The smallest box that holds all of this colour: left, top, right, bottom."""
    places = pixels(picture, color)
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return min(xs), min(ys), max(xs), max(ys)


def writings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that pictures write from now on."""
    written: list[str] = []
    original = text.draw_lines

    def remember(draw, lines, *rest, **options):
        written.extend(lines)
        return original(draw, lines, *rest, **options)

    monkeypatch.setattr(text, "draw_lines", remember)
    return written


def margins_are_paper(picture: Image.Image, width: int = 6) -> bool:
    """Whether nothing reaches the rim, where it would be cut off."""
    pixels = np.asarray(picture)
    rims = (pixels[:width], pixels[-width:], pixels[:, :width], pixels[:, -width:])
    return all((rim == text.PAPER).all() for rim in rims)
