"""Data have fixed, named and described splits, whatever they were made from."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from vaezoo.data.hashing import shuffled_indices
from vaezoo.data.source import Source, TensorSource
from vaezoo.data.splits import Data, as_data, hold_out, named_splits
from vaezoo.errors import DataError, UnknownComponentError
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec

N = 70


def numbered(n: int = N, classes: int | None = None) -> TensorSource:
    """(n, 3) float, example i full of i."""
    y = None if classes is None else torch.arange(n) % classes
    return TensorSource(torch.arange(float(n)).view(-1, 1).expand(n, 3), y)


def numbers(source: Source | None) -> list[int]:
    assert source is not None
    return [int(i) for i in source.examples(torch.arange(len(source)))[0][:, 0]]


def three() -> Data:
    """Named splits of 11, 5 and 7 examples."""
    splits: dict[str, tuple[Source, str]] = {
        "test": (numbered(7), "the last"),
        "train": (numbered(11), "the first"),
        "validation": (numbered(5), "the middle"),
    }
    return named_splits("three", splits, options={"a": 1}, classes=())


def sizes(data: Data) -> dict[str, int]:
    """Of the splits; and the description must agree with them."""
    found = {name: len(split) for name, split in data.splits().items()}
    described = json.loads(json.dumps(data.description))["splits"]
    assert {name: split["size"] for name, split in described.items()} == found
    assert all(split["rule"] for split in described.values())
    return found


def test_data_show_their_splits_by_name() -> None:
    data = three()
    assert sizes(data) == {"train": 11, "validation": 5, "test": 7}
    assert data.split("validation") is data.validation
    assert (data.input_shape, data.num_classes) == ((3,), None)
    assert data.description["options"] == {"a": 1}
    assert data.description["splits"]["train"]["rule"] == "the first"


def test_an_unknown_or_absent_split_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no split 'tets'\. Did you mean 'test'\?"):
        three().split("tets")
    with pytest.raises(DataError, match=r"no split 'test'.*Available: train\."):
        as_data(numbered(), validation=0).split("test")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (TensorSource(torch.zeros(4, 2)), r"differ in shape: \(3,\) in train, \(2,\) in test"),
        (numbered(5, classes=2), "differ in num_classes: None in train, 2 in test"),
    ],
)
def test_splits_that_do_not_match_are_refused(other: Source, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Data(name="odd", train=numbered(), test=other, description={})


@pytest.mark.parametrize(("part", "count"), [(0.2, 14), (0.001, 1), (9, 9), (69, 69)])
def test_holding_out_takes_a_fixed_random_part(part: float, count: int) -> None:
    train, validation = hold_out(numbered(), part, seed=3)
    assert numbers(validation) == shuffled_indices(N, 3)[:count].tolist()
    assert sorted(numbers(train) + numbers(validation)) == list(range(N))


def test_holding_out_depends_on_the_seed() -> None:
    assert numbers(hold_out(numbered(), 9, seed=0)[1]) != numbers(hold_out(numbered(), 9, 1)[1])


@pytest.mark.parametrize("part", [0, 70, 0.0, 1.0, 0.999, -3, 71])
def test_holding_out_all_or_nothing_is_refused(part: float) -> None:
    with pytest.raises(DataError, match=r"of 70 examples .* count from 1 to 69"):
        hold_out(numbered(), part)


RAW = [
    numbered(classes=7),
    (numbered().x, torch.arange(N) % 7),
    [numbered().x.numpy(), np.arange(N) % 7],
    TensorDataset(numbered().x, torch.arange(N) % 7),
]


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: type(raw).__name__)
def test_of_raw_data_a_tenth_is_held_out(raw: Any) -> None:
    data = as_data(raw)
    assert sizes(data) == {"train": 63, "validation": 7}
    assert numbers(data.validation) == shuffled_indices(N, 0)[:7].tolist()
    assert not set(numbers(data.train)) & set(numbers(data.validation))
    assert (data.input_shape, data.num_classes) == ((3,), 7)
    assert "places 0 to 6 of shuffled_indices(70, seed=0)" in str(data.description)


def test_at_most_ten_thousand_are_held_out() -> None:
    assert sizes(as_data(torch.zeros(100_010, 1)))["validation"] == 10_000


def test_of_a_handful_of_examples_none_is_held_out() -> None:
    assert sizes(as_data(torch.zeros(9, 2))) == {"train": 9}


@pytest.mark.parametrize("nothing", [0, 0.0])
def test_validation_can_be_switched_off(nothing: float) -> None:
    assert sizes(as_data(numbered(), validation=nothing)) == {"train": N}
    assert sizes(as_data(three(), validation=nothing)) == {"train": 11, "test": 7}


@pytest.mark.parametrize(("validation", "count"), [(0.3, 21), (4, 4)])
def test_a_fraction_or_a_count_is_held_out(validation: float, count: int) -> None:
    data = as_data(numbered(), validation=validation)
    assert sizes(data) == {"train": N - count, "validation": count}


def test_named_splits_stay_as_they_are_unless_asked_for() -> None:
    data = three()
    assert as_data(data) is data
    other = as_data(data, validation=3)
    assert sizes(other) == {"train": 8, "validation": 3, "test": 7}
    assert other.test is data.test
    assert other.description["options"] == {"a": 1}
    assert other.description["splits"]["train"]["rule"].startswith("the first: places 3 to 10")
    assert sizes(data) == {"train": 11, "validation": 5, "test": 7}


def test_validation_data_may_be_given_in_any_form() -> None:
    for given in (numbered(5), numbered(5).x, numbered(5).x.numpy(), (numbered(5).x,)):
        data = as_data(numbered(), validation=given)
        assert sizes(data) == {"train": N, "validation": 5}
        assert numbers(data.validation) == [0, 1, 2, 3, 4]
    assert sizes(as_data(numbered(), validation=three()))["validation"] == 5
    assert sizes(as_data(numbered(), validation=as_data(numbered(6), validation=0))) == {
        "train": N,
        "validation": 6,
    }


def test_given_validation_labels_are_counted_with_those_of_training() -> None:
    labels = torch.tensor([0, 1, 0])
    data = as_data(numbered(classes=7), validation=(torch.zeros(3, 3), labels))
    assert data.validation is not None
    assert data.validation.num_classes == 7
    with pytest.raises(DataError, match="less than num_classes=2; the greatest is 4"):
        as_data(numbered(classes=2), validation=(torch.zeros(3, 3), labels + 3))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (True, "cannot be True; give None"),
        (False, "cannot be False; give None"),
        (-0.5, "cannot be -0.5; give None .* fraction between 0 and 1, a count, or data"),
        (-3, "cannot be -3"),
        (1.0, "cannot be 1.0"),
        (70, "70 of 70 examples cannot be held out"),
        (float("nan"), "cannot be nan"),
        ({"x": 1}, "cannot be a dict; give a dataset's name"),
        (torch.zeros(5, 4), r"shape: \(3,\) in train, \(4,\) in validation"),
        ((torch.zeros(2, 3), torch.arange(2)), "num_classes: None in train, 2 in validation"),
    ],
)
def test_validation_that_makes_no_sense_is_refused(validation: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_data(numbered(), validation=validation)


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="no file or folder 'no-images'"):
        as_data(pathlib.Path("no-images"))


@dataclass(frozen=True, kw_only=True)
class CountOptions:
    count: int = 8
    """Examples for training."""


def test_a_name_is_looked_up_among_the_registered_datasets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roots = []

    def count(options: CountOptions, root: pathlib.Path | None) -> Data:
        roots.append(root)
        return named_splits("count", {"train": (numbered(options.count), "all")})

    spec = DatasetSpec(name="count", target=count)
    monkeypatch.setattr(
        lookup, "find", lambda kind, name: {(DatasetSpec, "count"): spec}[kind, name]
    )
    assert sizes(as_data("count", root="somewhere")) == {"train": 8}
    assert sizes(as_data(numbered(), validation="count")) == {"train": N, "validation": 8}
    assert roots == [pathlib.Path("somewhere"), None]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownComponentError, match="no-such-dataset"):
        as_data("no-such-dataset")
