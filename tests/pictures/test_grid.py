"""Sheets of images: where the cells lie, what their pixels are, and that text stays inside."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch
from PIL import Image

from vaezoo.errors import DataError
from vaezoo.pictures import grid, save_png, text
from vaezoo.pictures.sheet import MARGIN, NOT_A_NUMBER

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def white(n=6, channels=1, height=28, width=28):
    return torch.ones(n, channels, height, width)


def runs(sheet, *, row=None, column=None):
    """The colours met along a row or column of pixels, each with how many pixels it lasts."""
    if row is not None:
        line = [sheet.getpixel((x, row)) for x in range(sheet.width)]
    else:
        line = [sheet.getpixel((column, y)) for y in range(sheet.height)]
    return [(color, len(list(same))) for color, same in groupby(line)]


def margins(sheet):
    """All pixels of the outermost band around a sheet."""
    inner = Image.new("RGB", (sheet.width - 2 * MARGIN, sheet.height - 2 * MARGIN), text.PAPER)
    outer = sheet.copy()
    outer.paste(inner, (MARGIN, MARGIN))
    return outer.getcolors()


def test_cells_and_gaps_are_even_in_both_directions():
    sheet = grid(white(6, height=12, width=20), columns=3, gap=3, min_cell=40)
    across = runs(sheet, row=sheet.height // 4)
    down = runs(sheet, column=sheet.width // 6)
    # 20 x 12 pixels enlarged 9 times (192 // 20), gaps of 3 grown fourfold.
    paper, cell = text.PAPER, WHITE
    gap = (paper, 12)
    margin = (paper, MARGIN)
    assert across == [margin, (cell, 180), gap, (cell, 180), gap, (cell, 180), margin]
    assert down == [margin, (cell, 108), gap, (cell, 108), margin]


def test_digits_at_25_columns_make_a_sheet_of_1500_to_1900_pixels():
    sheet = grid(
        white(50), columns=25, caption="digits", row_labels=["original", "reconstruction"]
    )
    assert 1500 <= sheet.width <= 1900
    assert [length for color, length in runs(sheet, row=100) if color == WHITE] == [56] * 25


@pytest.mark.parametrize(("size", "columns", "n"), [(28, 8, 64), (64, 8, 64), (8, 2, 4)])
def test_small_sheets_are_no_postage_stamps(size, columns, n):
    sheet = grid(white(n, height=size, width=size), columns=columns)
    assert sheet.width >= 400


def test_every_pixel_becomes_a_square_of_its_own_colour():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 12, 20), generator=generator, dtype=torch.uint8)
    sheet = grid(image / 255, columns=1, min_cell=40)
    factor = (sheet.width - 2 * MARGIN) // 20
    assert factor > 1
    for row in range(12):
        for column in range(20):
            square = sheet.crop(
                (
                    MARGIN + column * factor,
                    MARGIN + row * factor,
                    MARGIN + (column + 1) * factor,
                    MARGIN + (row + 1) * factor,
                )
            )
            assert square.getcolors() == [(factor**2, tuple(image[0, :, row, column].tolist()))]


def test_bytes_are_drawn_as_they_are():
    values = torch.arange(12, dtype=torch.uint8).reshape(1, 1, 3, 4) * 20
    assert grid(values, columns=1).tobytes() == grid(values / 255, columns=1).tobytes()


def test_white_stays_white_black_stays_black_and_values_outside_are_clamped():
    images = torch.tensor([0.0, 1.0, -7.0, 9.0, float("inf")]).view(5, 1, 1, 1).expand(5, 1, 6, 6)
    cells = [color for color, _ in runs(grid(images, columns=5), row=40) if color != text.PAPER]
    assert cells == [BLACK, WHITE, BLACK, WHITE, WHITE]


def test_a_pixel_that_is_nan_stands_out():
    sheet = grid(torch.full((1, 1, 4, 4), float("nan")), columns=1)
    assert sheet.getpixel((MARGIN, MARGIN)) == NOT_A_NUMBER


def test_missing_images_leave_paper():
    sheet = grid(white(4), columns=3)
    last = runs(sheet, row=sheet.height - MARGIN - 5)
    assert [color for color, _ in last] == [text.PAPER, WHITE, text.PAPER]


def test_groups_of_rows_stand_further_apart_than_rows():
    sheet = grid(white(8), columns=2, rows_per_group=2)
    gaps = [n for color, n in runs(sheet, column=MARGIN + 5) if color == text.PAPER][1:-1]
    assert gaps[0] == gaps[2]
    assert gaps[1] >= 2 * gaps[0]


def test_a_long_caption_is_wrapped_within_the_margins():
    words = "a caption that says far more than fits in one line " * 8
    plain = grid(white(), columns=3)
    sheet = grid(white(), columns=3, caption=words)
    assert sheet.width == plain.width
    assert sheet.height > plain.height + 3 * 18
    assert margins(sheet) == [(sheet.width * sheet.height, text.PAPER)]


def test_labels_never_leave_the_sheet_nor_touch_the_images():
    long = "a label that says far more than fits beside a row of images of this size"
    bare = grid(white(), columns=3)
    sheet = grid(white(), columns=3, row_labels=["z0", long], column_labels=["-3", long, "W" * 60])
    assert margins(sheet) == [(sheet.width * sheet.height, text.PAPER)]
    assert dict(map(reversed, sheet.getcolors(1 << 16)))[WHITE] == 6 * 168**2
    assert sheet.width > bare.width
    assert sheet.height > bare.height


def test_row_labels_stand_at_the_middle_of_their_row():
    sheet = grid(white(2), columns=1, row_labels=["H", ""])
    beside = sheet.crop((0, 0, MARGIN + 10, sheet.height))
    ink = [y for y in range(sheet.height) if len(runs(beside, row=y)) > 1]
    assert (ink[0] + ink[-1]) / 2 == pytest.approx(MARGIN + 168 / 2, abs=1.5)


def test_text_of_a_wide_sheet_of_low_images_can_be_read_when_it_is_shown_small(monkeypatch):
    sizes = []
    original = text.draw_lines

    def remember(draw, lines, face, at, **options):
        sizes.append(face.size)
        original(draw, lines, face, at, **options)

    monkeypatch.setattr(text, "draw_lines", remember)
    sheet = grid(
        white(22, height=8, width=300),
        columns=11,
        caption="wide",
        row_labels=["z0", "z1"],
        column_labels=[str(i) for i in range(11)],
    )
    assert sheet.width > 3000
    assert min(sizes) * 1500 / sheet.width >= 12
    assert margins(sheet) == [(sheet.width * sheet.height, text.PAPER)]
    assert dict(map(reversed, sheet.getcolors(1 << 16)))[WHITE] == 22 * 8 * 300


def test_wrapping_loses_no_character_and_no_line_is_too_wide():
    face = text.font(20)
    lines = text.wrap("some words, and one " + "verylong" * 12 + "\nnew line", face, 150)
    assert "".join(lines).replace(" ", "") == "somewords,andone" + "verylong" * 12 + "newline"
    assert max(face.getlength(line) for line in lines) <= 150
    assert lines[-1] == "new line"


def test_characters_that_the_font_lacks_are_spelled_out():
    assert text.printable("β-VAE – é × 日") == "beta-VAE - e x ?"


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (torch.rand(5, 30), r"\(5, 30\).*\(N, C, H, W\) with C 1"),
        (torch.rand(5, 2, 8, 9), r"\(5, 2, 8, 9\)"),
        (torch.rand(0, 1, 8, 9), "nothing"),
        (torch.ones(5, 1, 8, 9, dtype=torch.int64), "int64"),
    ],
)
def test_what_is_no_image_is_refused_with_what_is_valid(images, reason):
    with pytest.raises(DataError, match=reason):
        grid(images, columns=2)


def test_wrong_numbers_of_labels_and_columns_are_refused():
    with pytest.raises(DataError, match="3 row labels for 2 rows"):
        grid(white(), columns=3, row_labels=["a", "b", "c"])
    with pytest.raises(DataError, match="list"):
        grid(white(), columns=3, column_labels="abc")
    with pytest.raises(DataError, match="columns >= 1"):
        grid(white(), columns=0)


def test_saving_makes_the_folders_and_keeps_every_pixel(tmp_path):
    sheet = grid(torch.rand(3, 3, 8, 9), columns=3, caption="saved")
    path = save_png(sheet, tmp_path / "run" / "samples" / "a.png")
    assert Image.open(path).tobytes() == sheet.tobytes()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", "a.png.gif"])
def test_a_picture_is_saved_under_the_name_of_a_png_alone(tmp_path, name):
    with pytest.raises(DataError, match=r"must end in \.png"):
        save_png(grid(white(), columns=3), tmp_path / name)
    assert not [*tmp_path.iterdir()]
    assert save_png(grid(white(), columns=3), tmp_path / "A.PNG").exists()


def test_a_failed_save_leaves_the_old_file_and_no_partial_one(tmp_path, monkeypatch):
    sheet = grid(white(), columns=3)
    path = save_png(sheet, tmp_path / "a.png")
    before = path.read_bytes()

    def full_disk(self, file, **options):
        file.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_png(sheet, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
