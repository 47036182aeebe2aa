"""Binarization keeps the mean, and is repeatable where it says so."""

from __future__ import annotations

import pytest
import torch

from vaezoo.data.binarize import binarize, checked_binarization, to_float
from vaezoo.errors import OptionError

N, C, H, W = 400, 1, 7, 9


def grey() -> torch.Tensor:
    """(N, C, H, W), each pixel with a value of its own, from 0 to 1."""
    return torch.linspace(0, 1, C * H * W).view(1, C, H, W).expand(N, C, H, W).contiguous()


def test_uint8_becomes_float_in_the_unit_interval_and_float_stays() -> None:
    x = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert torch.equal(to_float(x), torch.tensor([[0.0, 0.2, 1.0]]))
    assert x.tolist() == [[0, 51, 255]]
    beyond = torch.tensor([[-3.5, 260.0]])
    assert torch.equal(to_float(beyond), beyond)


def test_none_changes_nothing() -> None:
    x = grey()
    assert torch.equal(binarize(x, "none", index=torch.arange(N), seed=0), x)


def test_threshold_keeps_what_is_above_one_half() -> None:
    x = torch.tensor([[0.0, 0.5, 0.51, 1.0]])
    out = binarize(x, "threshold", index=torch.arange(1), seed=0)
    assert out.tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert out.dtype == torch.float32


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_each_pixel_is_one_as_often_as_its_value_says(kind: str) -> None:
    torch.manual_seed(0)
    x = grey()
    out = binarize(x, checked_binarization(kind), index=torch.arange(N), seed=11)
    assert out.shape == x.shape
    assert set(out.flatten().tolist()) == {0.0, 1.0}
    error = (x * (1 - x) / N).sqrt()[0]
    assert ((out.mean(0) - x[0]).abs() <= 4.5 * error).all()  # certain for black and white


def test_static_draws_do_not_depend_on_the_batch() -> None:
    x, index = grey(), torch.arange(N)
    whole = binarize(x, "static", index=index, seed=3)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    mixed = torch.cat(
        [binarize(x[part], "static", index=index[part], seed=3) for part in torch.split(order, 17)]
    )
    assert torch.equal(mixed, whole[order])


def test_static_draws_differ_between_examples_pixels_and_seeds() -> None:
    x, index = torch.full((N, C, H, W), 0.5), torch.arange(N)
    out = binarize(x, "static", index=index, seed=3).flatten(1)
    other = binarize(x, "static", index=index, seed=4).flatten(1)
    for a, b in [(out, other), (out[1:], out[:-1]), (out[:, 1:], out[:, :-1])]:
        assert (a == b).float().mean() == pytest.approx(0.5, abs=0.02)


def test_static_draws_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    binarize(grey(), "static", index=torch.arange(N), seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_dynamic_draws_differ_from_one_to_the_next() -> None:
    x, index = grey(), torch.arange(N)
    first, second = (binarize(x, "dynamic", index=index, seed=3) for _ in range(2))
    assert not torch.equal(first, second)


def test_an_unknown_binarization_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="Did you mean 'static'"):
        checked_binarization("statics")


def test_black_stays_black_and_white_white_whatever_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.tensor([[0.0, 1.0]])
    for drawn in (0.0, 1 - 2**-24):  # the least and the greatest that there are
        monkeypatch.setattr(
            "vaezoo.data.binarize.uniform",
            lambda seed, index, size, drawn=drawn: torch.full((len(index), size), drawn),
        )
        assert torch.equal(binarize(x, "static", index=torch.arange(1), seed=0), x)
