"""Bars: their heights, their order, which are marked, and what is said of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from picture_helpers import box, margins_are_paper, pixels, writings
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures import column_chart, kl_chart
from vaezoo.pictures.bars import GREY, Bars, bars, order
from vaezoo.pictures.panel import BLUE, FRAME


@dataclass
class Site:
    kl: Tensor
    active: Tensor | None = None
    name: str = "z"
    size: int = 0

    def __post_init__(self):
        self.size = self.size or len(self.kl)


def tops(picture, colors=(BLUE,)):
    """The runs of columns in which a bar is, each with the bar's height in pixels."""
    left, _, right, bottom = box(picture, FRAME)
    found = []
    for x in range(left, right + 1):
        column = [picture.getpixel((x, y)) for y in range(bottom + 1)]
        height = sum(color in colors for color in column)
        if height > 1 and (not found or x != found[-1][1] + 1):
            found.append([x, x, height])
        elif height > 1:
            found[-1][1], found[-1][2] = x, max(height, found[-1][2])
    return [height for *_, height in found]


def test_bars_are_sorted_and_as_high_as_their_values(monkeypatch):
    said = writings(monkeypatch)
    picture = kl_chart([Site(torch.tensor([1.0, 4.0, 2.0]))])
    heights = tops(picture)
    assert heights == pytest.approx([h * heights[0] / 4 for h in (4, 2, 1)], abs=3)
    assert [line for line in said if line in ("z0", "z1", "z2")] == ["z1", "z2", "z0"]
    assert any("z: 7.00 nats in 3 dimensions" in line for line in said)
    assert "nats per example" in said


def test_active_dimensions_are_blue_and_the_legend_says_what_that_means(monkeypatch):
    said = writings(monkeypatch)
    kl, active = torch.tensor([3.0, 2.0, 1.0, 0.5]), torch.tensor([True, False, True, False])
    picture = kl_chart([Site(kl, active)], of="5,000 examples, mnist, test split")
    assert len(tops(picture)) == 2
    assert len(tops(picture, (GREY,))) == 2
    assert any("4 dimensions, 2 active" in line for line in said)
    whole = " ".join(said)
    assert "variance of the posterior mean is above 0.01 (Burda et al. 2016)" in whole
    assert "5,000 examples, mnist, test split" in whole


def test_without_posterior_means_no_dimension_is_marked(monkeypatch):
    said = writings(monkeypatch)
    picture = kl_chart([Site(torch.tensor([3.0, 2.0]))])
    assert not pixels(picture, GREY)
    assert not any("active" in line for line in said)


def test_a_kl_that_does_not_split_up_is_one_bar_for_all_dimensions(monkeypatch):
    said = writings(monkeypatch)
    picture = kl_chart([Site(torch.tensor([3.0]), torch.ones(8, dtype=torch.bool), size=8)])
    assert len(tops(picture)) == 1
    assert {"all dimensions", "nats per example; this KL is no sum over dimensions"} <= {*said}
    assert any("3.00 nats in 8 dimensions, 8 active" in line for line in said)


def test_each_site_has_a_panel_and_beyond_twelve_the_caption_counts_them(monkeypatch):
    said = writings(monkeypatch)
    two = kl_chart([Site(torch.ones(3), name="top"), Site(torch.ones(4), name="bottom")])
    assert two.height > 1.5 * kl_chart([Site(torch.ones(3))]).height
    assert any(line.startswith("top: 3.00 nats") for line in said)
    assert any(line.startswith("bottom: 4.00 nats") for line in said)
    said.clear()
    kl_chart([Site(torch.ones(2), name=f"s{i}") for i in range(15)])
    assert "the first 12 of 15 groups" in " ".join(said)
    assert not any(line.startswith("s12") for line in said)


def test_bars_that_are_too_many_to_be_named_are_ranked(monkeypatch):
    said = writings(monkeypatch)
    picture = kl_chart([Site(torch.linspace(5, 0, 300))])
    assert "rank among the 300 dimensions" in said
    assert "z0" not in said
    assert picture.width < 1600


def test_columns_keep_their_order_and_bad_ones_hang_below_zero(monkeypatch):
    said = writings(monkeypatch)
    picture = column_chart(torch.tensor([0.5, -0.5, 1.0]), of="9 examples")
    assert [line for line in said if line in ("x0", "x1", "x2")] == ["x0", "x1", "x2"]
    heights = tops(picture)
    assert heights == pytest.approx([h * heights[2] for h in (0.5, 0.5, 1)], abs=4)
    assert "R squared of 3 columns, median 0.50" in said
    assert "9 examples" in " ".join(said)


def test_columns_have_their_names_where_there_is_room(monkeypatch):
    said = writings(monkeypatch)
    column_chart(torch.tensor([0.5, 0.6]), ["age", "height"])
    assert [line for line in said if line in ("age", "height", "x0")] == ["age", "height"]
    said.clear()
    column_chart(torch.rand(40), [f"a column of a very long name, {i}" for i in range(40)])
    assert "place among the 40 columns" in said
    with pytest.raises(DataError, match="1 names for 2 columns"):
        column_chart(torch.tensor([0.5, 0.6]), ["age"])


def test_what_leaves_the_frame_and_what_has_no_bar_is_said(monkeypatch):
    said = writings(monkeypatch)
    column_chart(torch.tensor([0.5, 0.6]))
    assert "leaves" not in " ".join(said)
    column_chart(torch.tensor([0.5, -30.0, math.nan]))
    assert "what is below -1 leaves the frame; a column of one value has no bar" in " ".join(said)


def test_values_that_are_not_finite_have_no_bar_and_stand_last():
    values = [math.nan, 1.0, math.inf, 2.0]
    assert order(Bars(values=values, names="abcd"))[:2] == [3, 1]
    assert len(tops(kl_chart([Site(torch.tensor(values))]))) == 2


@pytest.mark.parametrize(
    "kl",
    [
        torch.zeros(4),
        torch.full((2,), torch.nan),
        torch.tensor([1e11, 1.0]),
        torch.tensor([-1e-6, 1e-7]),
        torch.rand(5000),
        torch.ones(1),
    ],
)
def test_any_values_can_be_drawn_and_nothing_is_cut_off_at_the_rim(kl):
    site = Site(kl, kl > 0.5, name="a site of a long name")
    assert margins_are_paper(kl_chart([site], of="5,000 of 10,000 examples, mnist, test split"))


def test_no_bars_are_refused():
    with pytest.raises(DataError, match="no bars"):
        bars([Bars(values=[], names=[])])
