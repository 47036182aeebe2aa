"""Sprites show what their factors say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from vaezoo.data.sprites import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    SHAPES,
    Sprites,
    SpritesOptions,
    factors,
    index_of,
    sprites,
)
from vaezoo.errors import OptionError
from vaezoo.options import build


def images(rows: Any) -> Tensor:
    """(n, 64, 64) float in [0, 1] of rows of factors."""
    x, _ = Sprites().examples(index_of(torch.tensor(list(rows))))
    return x[:, 0].float() / 255


def centroid(x: Tensor) -> tuple[Tensor, Tensor]:
    """(column, row) in pixels of (n, 64, 64)."""
    place, mass = torch.arange(64.0), x.sum((1, 2))
    return (x.sum(1) * place).sum(1) / mass, (x.sum(2) * place).sum(1) / mass


def test_there_is_one_image_for_each_combination_of_factors() -> None:
    source = Sprites()
    assert len(source) == 3 * 6 * 40 * 32 * 32 == 737_280
    assert FACTOR_NAMES == ("shape", "scale", "orientation", "x", "y")
    x, y = source.examples(torch.tensor([0, 737_279, 300_000]))
    assert x.shape == (3, 1, 64, 64) == (3, *source.shape)
    assert x.dtype == torch.uint8
    assert y.tolist() == [0, 2, 1]
    assert source.num_classes == len(SHAPES) == 3


def test_the_flat_index_is_that_of_dsprites() -> None:
    row = torch.tensor([[2, 4, 31, 17, 5]])
    flat = (((2 * 6 + 4) * 40 + 31) * 32 + 17) * 32 + 5
    assert index_of(row).tolist() == [flat]
    assert factors(torch.tensor([flat])).tolist() == row.tolist()


def test_factors_and_index_are_inverse() -> None:
    index = torch.arange(0, 737_280, 97)
    rows = factors(index)
    assert torch.equal(index_of(rows), index)
    assert rows.max(0).values.tolist() == [size - 1 for size in FACTOR_SIZES]
    assert rows.min() == 0


def test_the_centroid_moves_one_pixel_a_step_right_with_x_and_down_with_y() -> None:
    kinds = list(itertools.product(range(3), (0, 2, 5), (0, 5, 11, 24)))
    moving, still = 16.0 + torch.arange(32).repeat(len(kinds)), torch.full((), 16.0 + 7)
    column, row = centroid(images([*kind, i, 7] for kind in kinds for i in range(32)))
    assert (column - moving).abs().max() < 0.15
    assert (row - still).abs().max() < 0.15
    column, row = centroid(images([*kind, 7, i] for kind in kinds for i in range(32)))
    assert (column - still).abs().max() < 0.15
    assert (row - moving).abs().max() < 0.15


@pytest.mark.parametrize("shape", range(3))
def test_the_area_grows_with_the_square_of_the_scale(shape: int) -> None:
    for orientation in (0, 3, 25):
        area = images([shape, s, orientation, 9, 20] for s in range(6)).sum((1, 2))
        expected = area[-1] * torch.linspace(0.5, 1, 6) ** 2
        torch.testing.assert_close(area, expected, rtol=0.03, atol=0)


@pytest.mark.parametrize("scale", [0, 5])
@pytest.mark.parametrize("shape", range(3))
def test_every_orientation_looks_different_save_the_first_and_the_last(
    shape: int, scale: int
) -> None:
    x = images([shape, scale, o, 16, 16] for o in range(40)).flatten(1)
    assert torch.equal(x[0], x[39])
    apart = (x[:39, None] - x[None, :39]).abs().sum(-1) + 1e9 * torch.eye(39)
    assert apart.min() > 1  # at least one pixel's worth
    area = x.sum(1)
    assert area.max() / area.min() < 1.06


def test_orientation_turns_counter_clockwise() -> None:
    ellipse = images([1, 5, o, 16, 16] for o in (0, 5, 10))  # lying, tilted, about upright
    place = torch.arange(64.0) - 32
    tilt = (ellipse * place.view(1, -1, 1) * place.view(1, 1, -1)).sum((1, 2))
    wide, high = ellipse.amax(1).sum(1), ellipse.amax(2).sum(1)
    assert wide[0] > 1.8 * high[0]
    assert high[2] > 1.8 * wide[2]
    assert tilt[1] < -1000  # its right end points up, to smaller rows
    heart = images([2, 5, o, 16, 16] for o in (0, 10))
    right = heart[:, :, 33:].sum((1, 2)) - heart[:, :, :32].sum((1, 2))
    assert right[0].abs() < 1
    assert heart[0, 32 + 14, 32] > 0.5  # the tip, below
    assert heart[1, 32, 32 + 14] > 0.5  # a quarter turn later, to the right


@pytest.mark.parametrize("shape", range(3))
def test_no_shape_touches_the_border_at_any_extreme(shape: int) -> None:
    rows = itertools.product([shape], [0, 5], range(40), [0, 31], [0, 31])
    x = images(rows)
    border = torch.ones(64, 64, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    # The outermost pixels are black, so nothing white was cut off beyond them.
    assert x[:, border].max() == 0
    middle = images([shape, s, o, 16, 16] for s in (0, 5) for o in range(40))
    corners, mass = x.sum((1, 2)).view(-1, 4), middle.sum((1, 2))
    torch.testing.assert_close(corners, mass.unsqueeze(1).expand(-1, 4), atol=1e-3, rtol=0)
    assert mass.min() > 80


def test_the_shapes_differ_clearly_even_at_the_smallest_scale() -> None:
    x = images([s, 0, o, 16, 16] for s in range(3) for o in range(39)).view(3, 39, -1)
    for a, b in itertools.combinations(range(3), 2):
        apart = (x[a, :, None] - x[b, None]).abs().sum(-1)  # over all pairs of orientations
        assert apart.min() > 0.15 * x[a].sum(-1).mean()


def test_the_heart_has_a_notch_that_shows_at_every_scale() -> None:
    for scale in range(6):
        (heart,) = images([[2, scale, 0, 16, 16]])  # upright, its middle column the 33rd
        rows = torch.arange(64)
        top = {
            column: int(rows[heart[:, column] > 0.5].min())
            for column in range(24, 41)
            if (heart[:, column] > 0.5).any()
        }
        assert top[32] - min(top.values()) >= 1 + scale * 0.4


def test_edges_are_antialiased() -> None:
    x = images([[2, 5, 3, 16, 16]])
    grey = ((x > 0.02) & (x < 0.98)).sum()
    assert 30 < grey < 150
    assert (x > 0.98).sum() > 300


def test_an_image_does_not_depend_on_what_is_rendered_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, index = Sprites(), torch.arange(11, 737_280, 50_001)
    whole, labels = source.examples(index)
    monkeypatch.setattr("vaezoo.data.sprites.CHUNK", 4)
    assert torch.equal(source.examples(index)[0], whole)
    assert torch.equal(labels, factors(index)[:, 0])


def test_moving_leaves_the_original_where_it_was() -> None:
    source = Sprites()
    moved = source.to("meta")
    x, y = moved.examples(torch.zeros(3, dtype=torch.int64, device="meta"))
    assert x.device == y.device == moved.device == torch.device("meta")
    assert source.device == torch.device("cpu")
    assert source.examples(torch.tensor([5]))[0].max() == 255


def test_the_splits_are_fixed_and_cover_all_images_once() -> None:
    data = sprites(SpritesOptions(), None)
    sizes = {name: len(split) for name, split in data.splits().items()}
    assert sizes == {"train": 730_280, "validation": 2_000, "test": 5_000}
    splits: list[Any] = [data.test, data.validation, data.train]
    everything = torch.cat([split.indices for split in splits])
    assert everything[:3].tolist() == [366487, 137641, 362432]
    assert len(torch.unique(everything)) == 737_280
    assert data.classes == SHAPES
    assert data.description["options"] == {"validation": 2_000, "test": 5_000}


def test_the_sizes_of_the_splits_can_be_chosen() -> None:
    data = sprites(SpritesOptions(validation=0, test=70), None)
    assert {n: len(s) for n, s in data.splits().items()} == {"train": 737_210, "test": 70}


@pytest.mark.parametrize("sizes", [(-1, 5), (5, -1), (700_000, 37_280)])
def test_sizes_that_leave_nothing_are_refused(sizes: tuple[int, int]) -> None:
    values = dict(zip(("validation", "test"), sizes, strict=True))
    with pytest.raises(OptionError, match="leave some of the 737280"):
        build(SpritesOptions, values, "dataset 'sprites'")
