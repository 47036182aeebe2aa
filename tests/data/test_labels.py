"""Few labels: which are kept, and how often they are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import vaezoo
from vaezoo.data import (
    Data,
    TensorSource,
    TrainingBatches,
    as_data,
    hide_labels,
    hold_out,
    named_splits,
    oversample_labelled,
)
from vaezoo.data.labels import labels_of

C = 3


def data(n: int = 90) -> Data:
    """Examples that hold their own place; labels go 0, 1, 2, 0, ..."""
    splits = {}
    for split, size in {"train": n, "validation": 12, "test": 15}.items():
        x = torch.arange(size).float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
        splits[split] = TensorSource(x / 100, torch.arange(size) % C), "all"
    return named_splits("places", splits)


def places(found: Data, split: str = "train") -> torch.Tensor:
    source = found.split(split)
    x, _ = source.examples(torch.arange(len(source)))
    return (100 * x[:, 0, 0, 0]).round().long()


@pytest.mark.parametrize(("keep", "counts"), [(9, [3, 3, 3]), (11, [4, 4, 3])])
def test_as_many_labels_of_each_class_are_kept_and_they_are_right(
    keep: int, counts: list[int]
) -> None:
    found = hide_labels(data(), keep)
    y = labels_of(found.train, "it")
    assert torch.bincount(y[y >= 0]).tolist() == counts
    assert torch.equal(y[y >= 0], places(found)[y >= 0] % C)
    assert torch.equal(places(found), places(data()))
    assert found.num_classes == C
    for split in ("validation", "test"):
        assert torch.equal(
            labels_of(found.split(split), "it"), labels_of(data().split(split), "it")
        )


def test_the_seed_chooses_them() -> None:
    a, b, c = (labels_of(hide_labels(data(), 9, seed=s).train, "it") for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    rule = hide_labels(data(), 9, seed=4).description["splits"]["train"]["rule"]
    assert rule == "all; labels of 9 kept, balanced, by shuffled_indices(90, seed=4)"


@pytest.mark.parametrize("keep", [2, 91])
def test_of_how_many_labels_can_be_kept(keep: int) -> None:
    with pytest.raises(vaezoo.DataError, match=f"at least one .* 3 classes, .* not {keep}"):
        hide_labels(data(), keep)


def test_a_class_may_have_too_few() -> None:
    y = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2])
    few = as_data((torch.rand(9, 4), y), validation=0)
    with pytest.raises(
        vaezoo.DataError, match=r"2 labels of class 2 cannot be kept: .* 1 training"
    ):
        hide_labels(few, 6)


def test_what_has_no_labels_has_none_to_hide() -> None:
    with pytest.raises(vaezoo.DataError, match="has no labels"):
        hide_labels(as_data(torch.rand(9, 4)), 3)
    with pytest.raises(vaezoo.DataError, match="labels of a stream"):
        hide_labels(as_data(vaezoo.data.Stream([torch.rand(9, 4)])), 3)


def test_labelled_examples_are_repeated_up_to_their_share() -> None:
    found = oversample_labelled(hide_labels(data(), 9), 0.5)
    y = labels_of(found.train, "it")
    assert (y >= 0).double().mean() == pytest.approx(0.5, abs=0.01)
    counts = torch.bincount(places(found))
    assert len(counts) == 90  # nothing is left out
    labelled = labels_of(hide_labels(data(), 9).train, "it") >= 0
    assert (counts[labelled] == 9).all()
    assert (counts[~labelled] == 1).all()
    assert torch.equal(y[y >= 0], places(found)[y >= 0] % C)
    rule = found.description["splits"]["train"]["rule"]
    assert rule.endswith("; labelled ones 9 times")
    assert found.description["splits"]["train"]["size"] == len(found.train) == 162


def test_batches_hold_that_share() -> None:
    found = hide_labels(data(), 9, share=0.25)
    batches = TrainingBatches(found.train.to("cpu"), batch_size=20, seed=0)
    n = batches.steps_per_epoch
    labelled = sum((batches.batch(step).y >= 0).sum().item() for step in range(n))
    assert labelled / (20 * n) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_of_which_shares_there_can_be(share: float) -> None:
    with pytest.raises(vaezoo.DataError, match="must lie between"):
        oversample_labelled(hide_labels(data(), 9), share)


def test_what_is_labelled_often_enough_stays_as_it_is() -> None:
    few = hide_labels(data(), 9)
    assert oversample_labelled(few, 0.05) is few
    y = torch.full((20,), -1)
    none = as_data(TensorSource(torch.rand(20, 4), y, C), validation=0)
    with pytest.raises(vaezoo.DataError, match="none of the training examples"):
        oversample_labelled(none, 0.5)


def test_nothing_is_held_out_of_repeated_examples() -> None:
    found = hide_labels(data(), 9, share=0.5)
    with pytest.raises(vaezoo.DataError, match="hold out first"):
        hold_out(found.train, 0.1)


def rows(folder: Path) -> dict[str, Any]:
    """The choice of a table of three classes."""
    lines = (f"{i},{i % 7},{'xyz'[i % 3]}\n" for i in range(60))
    (folder / "a.csv").write_text("".join(["a,b,kind\n", *lines]))
    return {"path": folder / "a.csv", "label": "kind", "validation": 0.2}


def test_a_choice_of_data_says_it_with_options(tmp_path: Path) -> None:
    choice = rows(tmp_path)
    plain = as_data(choice)
    assert as_data({**choice, "keep_labels": None}).description == plain.description
    own = {"keep_labels": 6, "label_seed": 2, "labelled_share": 0.0}
    few = as_data({**choice, **own})
    assert few.description["options"] == {**plain.description["options"], **own}
    assert len(few.train) == len(plain.train)
    again = as_data({"name": few.name, **few.description["options"]})
    assert again.description == few.description
    assert torch.equal(labels_of(again.train, "it"), labels_of(few.train, "it"))
    shown = as_data({**choice, "keep_labels": 6})  # at the share that is default
    y = labels_of(shown.train, "it")
    assert len(shown.train) == len(plain.train)  # 6 of 48 are more than a tenth already
    assert (y >= 0).sum() == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_labels": "many"}, "keep_labels"),
        ({"labelled_share": 1.0}, "labelled_share must lie in"),
        ({"keep_labels": 2}, "at least one label of each"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(vaezoo.VaezooError, match=message):
        as_data({**rows(tmp_path), **options})


def test_of_a_file_too_and_after_holding_out(tmp_path: Path) -> None:
    found = as_data({**rows(tmp_path), "validation": 0.0, "keep_labels": 6}, validation=12)
    y = labels_of(found.train, "it")
    assert found.validation is not None
    assert len(found.validation) == 12
    assert labels_of(found.validation, "it").min() >= 0
    train, held = (s.examples(torch.arange(len(s)))[0] for s in (found.train, found.validation))
    assert not (train.unsqueeze(1) == held).all(-1).any()
    assert torch.bincount(y[y >= 0]).tolist() == [2, 2, 2]
    assert json.loads(json.dumps(found.description))["options"]["keep_labels"] == 6
