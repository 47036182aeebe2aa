"""Text in pictures: the font, what it can show, and breaking lines so that nothing is cut off."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Color = tuple[int, int, int]

PAPER: Color = (233, 235, 238)
"""Background of every picture: light and neutral, between black and white images."""
INK: Color = (26, 29, 33)
MUTED: Color = (82, 88, 96)

SMALLEST = 9
"""Font size in pixels below which text is broken into lines rather than shrunk further."""


@cache
def font(size: int) -> Font:
    """Pillow's own font at `size` pixels."""
    return ImageFont.load_default(size=size)


def printable(text: str) -> str:
    """`text` in characters that the font has: no empty boxes.

    Dashes, accents and Greek letters become their plain spelling ("é" to "e", "β" to "beta"),
    and anything else that the font lacks becomes "?". Line breaks are kept.
    """
    return "".join(c if c.isspace() or _has_glyph(c) else _spelled(c) for c in text)


@cache
def _has_glyph(character: str) -> bool:
    missing = font(24).getmask("\uffff")
    drawn = font(24).getmask(character)
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


def _spelled(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("GREEK SMALL LETTER ") and name.count(" ") == 3:
        return name.rsplit(" ", 1)[1].lower()
    if unicodedata.category(character) == "Pd" or name == "MINUS SIGN":
        return "-"
    if name == "MULTIPLICATION SIGN":
        return "x"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"


def wrap(text: str, face: Font, width: float) -> list[str]:
    """Break `text` into lines of at most `width` pixels: between words, or within one too long."""
    lines = []
    for paragraph in printable(text).splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if face.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while face.getlength(line) > width and len(line) > 1:
                kept = _longest_prefix(line, face, width)
                lines.append(line[:kept])
                line = line[kept:]
        lines.append(line)
    return lines


def _longest_prefix(word: str, face: Font, width: float) -> int:
    kept = 1
    while kept < len(word) and face.getlength(word[: kept + 1]) <= width:
        kept += 1
    return kept


def fit(
    labels: Sequence[str], size: int, width: float, height: float
) -> tuple[Font, list[list[str]]]:
    """The largest font up to `size` in which every label fits a box, and the labels' lines.

    Words stay whole if a size down to `SMALLEST` allows it.
    """
    words = [word for label in labels for word in printable(label).split()]
    for smaller in range(size, SMALLEST - 1, -1):
        face = font(smaller)
        lines = [wrap(label, face, width) for label in labels]
        whole = all(face.getlength(word) <= width for word in words)
        if whole and max(map(len, lines), default=0) * line_height(face) <= height:
            return face, lines
    return font(SMALLEST), [wrap(label, font(SMALLEST), width) for label in labels]


def line_height(face: Font) -> int:
    """Distance in pixels from one baseline to the next."""
    return round(1.3 * _size(face))


def text_width(lines: Sequence[str], face: Font) -> int:
    """Width in pixels of the widest line."""
    return max((int(face.getlength(line)) + 1 for line in lines), default=0)


def draw_lines(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[str],
    face: Font,
    at: tuple[float, float],
    *,
    align: str = "l",
    color: Color = INK,
) -> None:
    """Draw lines around the height `at[1]`, which cuts their capitals and digits in half.

    `align` says which part of each line is at `at[0]`: "l" its left end, "m" its middle, "r" its
    right end.
    """
    capital = -face.getbbox("H", anchor="ls")[1]
    first = at[1] + capital / 2 - line_height(face) * (len(lines) - 1) / 2
    for index, line in enumerate(lines):
        baseline = round(first + index * line_height(face))
        draw.text((round(at[0]), baseline), line, fill=color, font=face, anchor=f"{align}s")


def _size(face: Font) -> float:
    assert isinstance(face, ImageFont.FreeTypeFont)
    return face.size
