"""The hash that fixes splits and static binarization never changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaezoo.data.hashing import (
    GAMMA,
    mix_array,
    mix_integers,
    mix_tensor,
    shuffled_indices,
    signed,
    uniform,
)


def test_it_is_splitmix64() -> None:
    # The first outputs of the reference implementation, seeded with 0.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    state = [GAMMA * k % 2**64 for k in (1, 2, 3)]
    assert mix_array(np.array(state, dtype=np.uint64)).tolist() == expected
    assert mix_tensor(torch.tensor([signed(s) for s in state])).tolist() == [
        signed(e) for e in expected
    ]
    assert mix_integers(0) == expected[0]


def test_hashed_integers_depend_on_each_and_on_their_order() -> None:
    hashes = {mix_integers(*v) for v in [(0, 1), (1, 0), (0, 0), (1, 1), (0,), (-1, 0)]}
    assert len(hashes) == 6
    assert all(0 <= h < 2**64 for h in hashes)


def test_uniform_numbers_are_fixed_and_uniform() -> None:
    u = uniform(7, torch.tensor([0, 5]), 3)
    assert torch.equal(
        (u * 2**24).long(),
        torch.tensor([[1103469, 15941062, 14758698], [12917587, 6681256, 16712576]]),
    )
    many = uniform(3, torch.arange(700), 1100)
    assert many.min() >= 0
    assert many.max() < 1
    counts = torch.histc(many, bins=16, min=0, max=1) / many.numel()
    assert (counts - 1 / 16).abs().max() < 0.001  # 3.6 standard errors
    assert many.mean(0).std() == pytest.approx((1 / 12 / 700) ** 0.5, rel=0.1)
    assert many.mean(1).std() == pytest.approx((1 / 12 / 1100) ** 0.5, rel=0.1)


def test_uniform_numbers_differ_between_seeds() -> None:
    index = torch.arange(13)
    assert not torch.isclose(uniform(0, index, 5), uniform(1, index, 5)).any()


@pytest.mark.parametrize(
    ("n", "seed", "first"),
    [
        (13, 0, [12, 11, 5, 7, 8, 2, 10, 9, 0, 3, 1, 6, 4]),
        (13, 1, [2, 12, 8, 4, 9, 7, 0, 10, 6, 5, 3, 11, 1]),
        (737280, 0, [366487, 137641, 362432, 706662, 454356]),
    ],
)
def test_shuffled_indices_are_fixed_for_ever(n: int, seed: int, first: list[int]) -> None:
    assert shuffled_indices(n, seed)[:13].tolist()[: len(first)] == first


def test_shuffled_indices_hold_each_index_once() -> None:
    indices = shuffled_indices(1009, seed=5)
    assert indices.dtype == np.int64
    assert np.array_equal(np.sort(indices), np.arange(1009))
