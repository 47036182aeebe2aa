"""Scatters: where dots lie, which colour they have, and what is said of those left out."""

from __future__ import annotations

import pytest
import torch
from picture_helpers import box, margins_are_paper, pixels, writings

from vaezoo.errors import DataError
from vaezoo.pictures import latent_codes, scatter
from vaezoo.pictures.panel import BLUE, FRAME
from vaezoo.pictures.scatter import OPACITY, OTHERS, PALETTE, frame_of, group, upright

CORNERS = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])


def on_white(color):
    """A dot's colour in its middle, above the white frame."""
    return tuple(round((OPACITY * c + (255 - OPACITY) * 255) / 255) for c in color)


def near(picture, color):
    """Where a dot of this colour is: each channel may be rounded differently."""
    shades = [tuple(c + d for c in on_white(color)) for d in (-1, 0, 1)]
    return [place for shade in shades for place in pixels(picture, shade)]


def middle(places):
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def test_points_lie_to_scale_with_the_second_coordinate_upwards():
    picture = scatter(CORNERS, torch.tensor([0, 1, 2]))
    frame = box(picture, FRAME)
    inside = picture.crop(frame)
    origin, right, up = (middle(near(inside, PALETTE[k])) for k in range(3))
    assert right[0] - origin[0] == pytest.approx(2 * (origin[1] - up[1]), abs=3)
    assert right[1] == pytest.approx(origin[1], abs=2)
    assert up[0] == pytest.approx(origin[0], abs=2)
    panel = frame_of(upright(CORNERS)[0], 640, flat=False, x_title="", unit="")
    x, y = panel.place(2.0, 0.0)
    assert right == pytest.approx((x, y), abs=2)


def test_without_labels_all_dots_are_blue_and_there_is_no_legend():
    plain, coloured = scatter(CORNERS), scatter(CORNERS, torch.tensor([0, 1, 1]))
    assert near(plain, BLUE)
    assert plain.width < coloured.width


def test_classes_are_named_in_the_legend_in_their_colours(monkeypatch):
    said = writings(monkeypatch)
    picture = scatter(CORNERS, torch.tensor([2, 0, 2]), classes=["a", "b", "c"])
    assert [line for line in said if line in ("a", "b", "c")] == ["a", "c"]
    right = box(picture, FRAME)[2]
    for k in (0, 2):
        assert [x for x, _ in pixels(picture, PALETTE[k]) if x > right]


def test_a_class_keeps_its_colour_where_others_are_absent():
    assert [g.color for g in group(torch.tensor([3, 7]), ())] == [PALETTE[3], PALETTE[7]]


def test_more_than_ten_classes_share_the_last_colour_and_unlabelled_dots_are_grey():
    labels = torch.arange(-1, 25)
    groups = group(labels, ())
    assert [g.name for g in groups] == [*map(str, range(10)), "15 other classes", "unlabelled"]
    assert [g.color for g in groups[-2:]] == [OTHERS] * 2
    assert sorted(label for g in groups for label in g.labels) == labels.tolist()


def test_the_palette_has_ten_different_colours():
    assert len({*PALETTE, OTHERS}) == 11


def test_far_and_broken_points_are_left_out_and_counted(monkeypatch):
    said = writings(monkeypatch)
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    points[3], points[4] = torch.tensor([1e7, 0.0]), torch.nan
    scatter(points, caption="Codes")
    whole = " ".join(said)
    assert "1 far from the others, outside of the frame; 1 not finite" in whole


def test_points_of_one_dimension_lie_in_a_strip(monkeypatch):
    said = writings(monkeypatch)
    points = torch.linspace(-2, 2, 50).unsqueeze(1)
    picture = latent_codes(points, of="50 examples")
    left, top, right, bottom = box(picture, FRAME)
    assert right - left > 3 * (bottom - top)
    assert "of one dimension, each at an arbitrary height; 50 examples" in " ".join(said)
    heights = upright(points)[0][:, 1]
    assert 0 <= heights.min() < 0.05
    assert 0.95 < heights.max() < 1
    assert len(set(heights.tolist())) == 50


@pytest.mark.parametrize("points", [torch.zeros(3, 2), torch.zeros(1, 2), torch.ones(2, 1) * 1e9])
def test_equal_points_and_large_ones_can_be_drawn(points):
    picture = scatter(points)
    frame = box(picture, FRAME)
    dots = [c for _, c in picture.crop(frame).getcolors(9999) if c[2] - c[0] > 80]
    assert dots


def test_dots_are_larger_where_they_are_few():
    few = near(scatter(CORNERS), BLUE)
    many = near(scatter(CORNERS.repeat(1000, 1)), on_white(BLUE))
    assert len(few) > len(many)


@pytest.mark.parametrize("points", [torch.zeros(3), torch.zeros(3, 3), torch.zeros(0, 2)])
def test_what_is_no_plane_is_refused(points):
    with pytest.raises(DataError):
        scatter(points)


def test_points_that_are_all_broken_are_refused():
    with pytest.raises(DataError, match="None of the 3 points is finite"):
        scatter(torch.full((3, 2), torch.nan))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5, 9e6, 1e12])
def test_nothing_is_cut_off_at_the_rim(scale):
    generator = torch.Generator().manual_seed(0)
    points = scale * torch.randn(100, 2, generator=generator) + scale
    names = [f"a class with quite a long name, {k}" for k in range(10)]
    labels = torch.arange(100) % 10
    for y in (None, labels):
        caption = "A caption of many words " * 8
        picture = scatter(points, y, classes=names, caption=caption, x_title="z0", y_title="z1")
        assert margins_are_paper(picture)
