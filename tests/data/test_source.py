"""A source addresses examples by index, and refuses data that no model could use."""

from __future__ import annotations

import pytest
import torch

from vaezoo.data.source import Subset, TensorSource
from vaezoo.errors import DataError

N, C, H, W = 7, 2, 3, 5


def numbered(n: int = N) -> torch.Tensor:
    """(n, C, H, W) uint8, example i full of i."""
    return torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(n, C, H, W)


def test_examples_and_labels_come_in_the_order_of_the_index() -> None:
    source = TensorSource(numbered(), torch.arange(N) % 4)
    x, y = source.examples(torch.tensor([5, 0, 5]))
    assert (len(source), source.shape, source.num_classes) == (N, (C, H, W), 4)
    assert x.dtype == torch.uint8
    assert x[:, 0, 0, 0].tolist() == [5, 0, 5]
    assert y is not None
    assert y.tolist() == [1, 0, 1]


def test_a_source_without_labels_gives_none() -> None:
    source = TensorSource(numbered())
    assert source.num_classes is None
    assert source.examples(torch.tensor([1]))[1] is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bool])
def test_floating_and_bool_examples_are_kept_as_float32(dtype: torch.dtype) -> None:
    x, _ = TensorSource(torch.ones(N, C, dtype=dtype)).examples(torch.tensor([3]))
    assert x.dtype == torch.float32
    assert x.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_any_integer_type_become_int64(dtype: torch.dtype) -> None:
    source = TensorSource(numbered(), torch.arange(N).to(dtype), num_classes=N + 2)
    assert source.num_classes == N + 2
    assert source.y is not None
    assert source.y.dtype == torch.int64


def test_unlabelled_examples_are_marked_by_minus_one() -> None:
    assert TensorSource(numbered(3), torch.tensor([-1, 2, -1])).num_classes == 3


@pytest.mark.parametrize(
    ("x", "unit"),
    [(torch.ones(N, C), True), (torch.full((N, C), 1.01), False), (-torch.ones(N, C), False)],
)
def test_a_source_knows_whether_its_values_lie_in_the_unit_interval(
    x: torch.Tensor, unit: bool
) -> None:
    assert TensorSource(x).unit_range is unit
    assert Subset(TensorSource(x), [1]).unit_range is unit


def broken(value: float) -> torch.Tensor:
    x = torch.zeros(N, C, H, W)
    x[[2, 4], 1, 2, 3] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "num_classes", "message"),
    [
        (numbered(), torch.zeros(6).long(), None, "7 examples but 6 labels"),
        (torch.zeros(0, C), None, None, "no examples"),
        (torch.zeros(N, 0), None, None, r"no examples.*\(7, 0\)"),
        (torch.zeros(N), None, None, r"at least two dimensions; got \(7,\)"),
        (torch.zeros(N, C, 2, 2, dtype=torch.int64), None, None, "not torch.int64; convert"),
        (torch.zeros(N, C, dtype=torch.complex64), None, None, "not torch.complex64"),
        ([[0.0]], None, None, "must be a Tensor, not list"),
        (broken(float("nan")), None, None, "2 of 7 examples hold NaN.*first at index 2"),
        (broken(float("-inf")), None, None, "2 of 7 examples hold NaN, infinity"),
        (numbered(), torch.zeros(N), None, "integers, not torch.float32"),
        (numbered(), torch.zeros(N, 3).long(), None, r"not \(7, 3\).*argmax"),
        (numbered(), torch.arange(N) - 2, None, "least is -2"),
        (numbered(), torch.arange(N), 5, "less than num_classes=5; the greatest is 6"),
        (numbered(), torch.zeros(N).long() - 1, None, "every label is -1"),
        (numbered(), None, 5, "there are no labels"),
    ],
)
def test_unusable_data_are_refused_with_the_reason(
    x: torch.Tensor, y: torch.Tensor | None, num_classes: int | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        TensorSource(x, y, num_classes)


def test_a_subset_shows_its_indices_in_their_order() -> None:
    subset = Subset(TensorSource(numbered(), torch.arange(N)), [6, 1, 3, 1])
    x, y = subset.examples(torch.tensor([3, 0, 2]))
    assert (len(subset), subset.shape, subset.num_classes) == (4, (C, H, W), N)
    assert x[:, 1, 2, 4].tolist() == [1, 6, 3]
    assert y is not None
    assert y.tolist() == [1, 6, 3]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "at least one index"),
        ([[1, 2]], "as a vector"),
        ([0, 7], r"0\.\.6; these reach 0\.\.7"),
        ([-1, 3], r"reach -1\.\.3"),
        ([0.5], "integers"),
        ([True, False], "integers"),
    ],
)
def test_a_subset_refuses_indices_that_address_nothing(indices: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Subset(TensorSource(numbered()), indices)


def test_moving_gives_a_copy_and_leaves_the_original() -> None:
    labelled = TensorSource(numbered(), torch.arange(N))
    for source in (labelled, Subset(labelled, [1, 4])):
        moved = source.to("meta")
        x, y = moved.examples(torch.tensor([0, 1], device="meta"))
        assert moved.device == x.device == torch.device("meta")
        assert y is not None
        assert y.device == torch.device("meta")
        assert (len(moved), moved.shape, moved.num_classes) == (len(source), (C, H, W), N)
        assert source.device == torch.device("cpu")
        assert source.examples(torch.tensor([0]))[0].device == torch.device("cpu")


def test_a_moved_subset_takes_only_its_own_examples_along() -> None:
    moved = Subset(TensorSource(numbered()), [1, 4]).to("meta")
    assert isinstance(moved, TensorSource)
    assert len(moved.x) == 2


def test_taken_examples_are_those_of_the_subset() -> None:
    source = TensorSource(numbered(), torch.arange(N))
    taken = source.take(torch.tensor([4, 1]))
    assert taken.x[:, 0, 0, 0].tolist() == [4, 1]
    assert taken.y is not None
    assert taken.y.tolist() == [4, 1]
    assert taken.num_classes == N
