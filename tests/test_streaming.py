"""Training on a stream: a loader or an iterable of one's own, of unknown length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from training_helpers import QUICK, SHAPE, Stop, images, interrupt_at, same, small, weights

import vaezoo
from vaezoo.data import Stream, StreamBatches, TensorSource, as_data


class Lines(IterableDataset[Any]):
    """A stream of single examples with their labels; ``broken`` stands in one's place."""

    def __init__(self, n: int = 40, broken: tuple[int, Any] | None = None) -> None:
        self.n = n
        self.broken = broken

    def __iter__(self) -> Iterator[Any]:
        for i, x in enumerate(images(self.n)):
            if self.broken and i == self.broken[0]:
                if isinstance(self.broken[1], Exception):
                    raise self.broken[1]
                yield self.broken[1]
            else:
                yield x, i % 3


class Batches:
    """An iterable of batches of 7, whatever the trainer wants."""

    def __init__(self, x: Tensor, size: int = 7) -> None:
        self.parts = x.split(size)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.parts)


def own_loader(**options: Any) -> DataLoader[Any]:
    """A loader that draws its examples, with labels, in a random order of its own."""
    sampler = WeightedRandomSampler([1.0] * 48, 48)
    dataset = TensorDataset(images(48), torch.arange(48) % 3)
    return DataLoader(dataset, batch_size=5, sampler=sampler, **options)


def fit(model: vaezoo.VAE, data: Any, **options: Any) -> vaezoo.History:
    """Quick, and validated on examples of their own."""
    arguments = {"validation": images(12, seed=1), "log_every": 4, "validate_every": 10}
    return vaezoo.fit(model, data, **{**arguments, **QUICK, **options})


def taken(data: Any, count: int, size: int = 8, **options: Any) -> list[vaezoo.Batch]:
    stream = as_data(data).stream
    assert stream is not None
    batches = StreamBatches(stream, batch_size=size, seed=0, **options)
    return [batches.batch(step) for step in range(count)]


@pytest.mark.parametrize(
    "make",
    [
        own_loader,
        Lines,
        lambda: Batches(images(48)),
        lambda: DataLoader(Lines(), batch_size=6),
        lambda: DataLoader(TensorDataset(images(48)), batch_sampler=[[1, 2, 3]] * 6),
        lambda: (x.numpy() for x in images(480).split(7)),
    ],
)
def test_whatever_yields_examples_can_be_trained_on(make: Callable[[], Any]) -> None:
    model = small()
    before = weights(model)
    history = fit(model, make(), steps=12)
    assert not same(weights(model), before)
    assert [r["step"] for r in history.records if r["split"] == "train"] == [4, 8, 12]
    assert len(history.column("elbo", "validation")) == 2


def test_a_stream_is_cut_into_batches_of_the_size_that_is_asked_for() -> None:
    x = images(48)
    batches = taken(Batches(x), 12)
    # 6 whole batches of 8 in a pass of 48; the order is the stream's own.
    assert torch.equal(torch.cat([b.x for b in batches]), torch.cat([x, x]))
    # A pass of 45 leaves 5 examples over, which are dropped.
    batches = taken(Batches(x[:45]), 6)
    assert torch.equal(torch.cat([b.x for b in batches]), torch.cat([x[:40], x[:8]]))
    assert all(b.y is None for b in batches)


def test_labels_stay_with_their_examples() -> None:
    x = torch.arange(48.0).view(48, 1)
    loader = DataLoader(
        TensorDataset(x, torch.arange(48) % 5),
        batch_size=7,
        sampler=SubsetRandomSampler(range(48)),
    )
    for batch in taken(loader, 5):
        assert batch.y is not None
        assert torch.equal(batch.x[:, 0].long() % 5, batch.y)


def test_grey_bytes_become_numbers_in_the_unit_interval() -> None:
    x = torch.arange(256, dtype=torch.uint8).view(64, 4)
    (batch,) = taken(Batches(x), 1)
    assert torch.equal(batch.x, x[:8] / 255)
    (batch,) = taken(Batches(x), 1, binarization="threshold")
    assert torch.equal(batch.x, (x[:8] > 127).float())


def test_conditional_models_take_the_labels_of_a_stream() -> None:
    model = small("cvae", num_classes=3)
    validation = (images(12), torch.arange(12) % 3)
    fit(model, own_loader(), steps=3, validation=validation)
    with pytest.raises(
        vaezoo.DataError, match=r"labels .* lie in 0\.\.2, but the model takes 0\.\.1"
    ):
        fit(small("cvae", num_classes=2), own_loader(), steps=3, validation=0)
    with pytest.raises(vaezoo.DataError, match="conditioned on labels"):
        fit(model, Batches(images(48)), steps=3, validation=0)


# How long: steps, or passes.


def test_epochs_of_a_stream_of_unknown_length_are_passes() -> None:
    history = fit(small(), Lines(45), epochs=3)  # 5 batches of 8, and 5 examples over
    last = history.last("train")
    assert last is not None
    assert last["step"] == 15
    assert "seconds_left" not in last
    assert last["epoch"] == 2.0  # whole passes behind it


def test_a_stream_of_known_size_has_epochs_in_steps() -> None:
    history = fit(small(), Stream(Lines(45), size=45), epochs=2, lr_schedule="cosine")
    last = history.last("train")
    assert last is not None
    assert (last["step"], last["epoch"]) == (10, 2.0)


def test_an_iterator_gives_one_pass() -> None:
    last = fit(small(), iter(Batches(images(45))), epochs=1).last("train")
    assert last is not None
    assert last["step"] == 5
    with pytest.raises(vaezoo.OptionError, match=r"tuple_iterator can be iterated once.*steps"):
        fit(small(), iter(Batches(images(45))), epochs=2)
    with pytest.raises(vaezoo.DataError, match=r"has ended, and it cannot be started anew"):
        fit(small(), iter(Batches(images(45))), steps=6)


def test_a_run_of_unknown_length_has_no_schedule_that_ends_at_its_end() -> None:
    with pytest.raises(vaezoo.OptionError, match=r"'linear' ends at the last step.*size=50_000"):
        fit(small(), Lines(), epochs=2, lr_schedule="linear")


class Counting(vaezoo.ELBO):
    """An objective that must know how many examples there are."""

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        self.n = num_examples


@pytest.mark.parametrize(
    ("data", "options", "n"),
    [
        (own_loader(), {"epochs": 1}, 48),
        (Stream(Lines(), size=41), {"epochs": 1}, 41),
        (Lines(), {"steps": 9}, 72),  # all that the run sees
        (Lines(), {"epochs": 1}, None),
    ],
)
def test_an_objective_is_told_how_many_examples_there_are(
    data: Any, options: dict[str, int], n: int | None
) -> None:
    parts = small()
    objective = Counting()
    model = vaezoo.VAE(parts.encoder, parts.decoder, parts.prior, objective=objective)
    if n is None:
        with pytest.raises(
            vaezoo.OptionError, match=r"must know how many.*give steps, or its size"
        ):
            fit(model, data, **options)
    else:
        fit(model, data, **options)
        assert objective.n == n


def test_without_validation_data_nothing_is_validated_and_that_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = small()
    history = vaezoo.fit(model, own_loader(), steps=4, batch_size=8, out=tmp_path)
    assert "no validation: a stream holds nothing out" in capsys.readouterr().err
    assert history.last("validation") is None
    assert history.best is None
    # The figures are of the first examples, and say so.
    figures = (tmp_path / "figures.json").read_text()
    assert '"split": "train"' in figures
    assert '"examples": 48' in figures
    with pytest.raises(vaezoo.DataError, match="nothing can be held out of a stream"):
        fit(model, own_loader(), steps=4, validation=0.1)


def test_a_stream_cannot_be_measured() -> None:
    with pytest.raises(vaezoo.DataError, match="may have no end; read as many"):
        vaezoo.evaluate(small(), Lines())


# What cannot be read.


def loader_of(batches: list[Any]) -> Batches:
    made = Batches(torch.zeros(1, 1))
    made.parts = batches  # type: ignore[assignment]
    return made


GOOD = [*images(80).split(8)]
NAN = torch.full((8, *SHAPE), float("nan"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(8, 1, 6, 4), r"it holds float32 of shape \(1, 6, 4\) without labels, but"),
        ((GOOD[0] * 255).byte(), r"it holds uint8 .* batch 0 held float32 of shape \(1, 6, 5\)"),
        ((GOOD[0], torch.zeros(8).long()), "with labels, but batch 0 held .* without labels"),
        (
            NAN,
            "8 of 8 examples hold NaN, infinity, or values beyond float32, the first at index 0",
        ),
        (GOOD[0] * 2, r"needs values in \[0, 1\]"),
        ((GOOD[0], torch.zeros(8)), "labels must be integers, not torch.float32"),
        ((GOOD[0], ["a"] * 8), "labels must be integers"),
        ((GOOD[0], torch.zeros(7).long()), "8 examples but 7 labels"),
        ({"x": GOOD[0]}, r"it is a dict; batches must be x or \(x, y\)"),
        (None, "it is a NoneType"),
    ],
)
def test_a_bad_batch_is_named_and_the_run_is_safe(bad: Any, message: str, tmp_path: Path) -> None:
    whole = loader_of([*GOOD, *GOOD])
    broken = loader_of([*GOOD, bad])
    options: dict[str, Any] = {"steps": 14, "checkpoint_every": 14, "binarization": "dynamic"}
    with pytest.raises(vaezoo.DataError, match=f"batch 10 of Batches: .*{message}") as caught:
        fit(small(), broken, out=tmp_path / "run", **options)
    assert "The run is saved at step 10: go on with resume" in str(caught.value)
    resumed, expected = small(), small()
    fit(resumed, whole, out=tmp_path / "run", resume=True, **options)
    fit(expected, whole, **options)
    assert same(weights(resumed), weights(expected))


def test_a_bad_item_is_named() -> None:
    for broken, message in [
        (
            (17, (torch.zeros(1, 6, 4), 1)),
            r"item 17 of Lines: it holds float32 of shape \(1, 6, 4",
        ),
        ((21, (GOOD[0][0], "cat")), r"item 21 of Lines: the label of item 21 must be an integer"),
    ]:
        with pytest.raises(vaezoo.DataError, match=message):
            fit(small(), Lines(broken=broken), steps=9)


@pytest.mark.parametrize("place", [0, 100])
def test_what_a_loader_raises_is_told_with_its_place(place: int, tmp_path: Path) -> None:
    boom = Lines(200, (place, OSError("the disk is gone")))
    with pytest.raises(vaezoo.DataError, match=rf"item {place} of Lines cannot be read") as caught:
        fit(small(), boom, steps=20, out=tmp_path / "run")
    assert "OSError: the disk is gone" in str(caught.value)
    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(type(error))
        error = error.__cause__
    assert causes[-1] is OSError
    # Found at once, before a run begins; or with what was done until then saved.
    assert (tmp_path / "run").exists() == (place > 0)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_a_worker_raises_is_told_without_its_traceback() -> None:
    boom = DataLoader(
        Lines(200, (150, ValueError("row 150 is torn"))), batch_size=8, num_workers=1
    )
    with pytest.raises(vaezoo.DataError) as caught:
        fit(small(), boom, steps=30)
    assert "batch 18 of DataLoader cannot be read: ValueError: row 150 is torn" in str(
        caught.value
    )
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Lines(0), "Lines yields nothing"),
        (Lines(7), r"a batch of 8 cannot be made from the 7 examples of a pass over Lines"),
        (Stream(Lines(40), size=7), "from the 7 examples of a pass"),
        (iter([3.5]), "batch 0 of list_iterator: it is a float"),
        (iter([torch.zeros(4, 1, 5, 6)] * 2), r"shape \(1, 5, 6\), but the model takes"),
    ],
)
def test_streams_that_cannot_be_trained_on(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(vaezoo.DataError, match=message):
        fit(small(), data, steps=3, validation=0, out=tmp_path)


def test_static_binarization_of_a_stream_is_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match="does not tell which example is which"):
        fit(small(), Lines(), steps=3, binarization="static")
    model = small(likelihood="gaussian")
    with pytest.raises(vaezoo.DataError, match=r"needs values in \[0, 1\]"):
        fit(model, Batches(images(48) * 3), steps=3, binarization="dynamic", validation=0)


# Resuming.


@pytest.mark.parametrize("make", [own_loader, Lines, lambda: (x for x in images(400).split(7))])
@pytest.mark.parametrize("crash", [9, 17])
def test_a_resumed_run_on_a_stream_is_the_uninterrupted_one_bit_for_bit(
    make: Callable[[], Any], crash: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"steps": 20, "checkpoint_every": 4, "binarization": "dynamic"}
    whole, resumed = small(), small()
    expected = fit(whole, make(), **options)
    with monkeypatch.context() as patch:
        interrupt_at(patch, crash)
        with pytest.raises(Stop):
            fit(small(), make(), out=tmp_path, **options)
    history = fit(resumed, make(), out=tmp_path, resume=True, **options)
    assert same(weights(whole), weights(resumed))
    for column in ("loss", "epoch"):
        assert history.column(column) == expected.column(column)


def test_passes_are_resumed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, resumed = small(), small()
    fit(whole, own_loader(), epochs=3)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 14)
        with pytest.raises(Stop):
            fit(small(), own_loader(), epochs=3, checkpoint_every=4, out=tmp_path)
    history = fit(resumed, own_loader(), epochs=3, checkpoint_every=4, out=tmp_path, resume=True)
    assert same(weights(whole), weights(resumed))
    last = history.last("train")
    assert last is not None
    assert last["step"] == 18


def test_another_stream_cannot_go_on_with_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"steps": 20, "checkpoint_every": 4, "out": tmp_path}
    with monkeypatch.context() as patch:
        interrupt_at(patch, 9)
        with pytest.raises(Stop):
            fit(small(), Lines(100), **options)
    with pytest.raises(vaezoo.DataError, match=r"holds 5 batches of 8, but the run had taken 8"):
        fit(small(), Lines(40), resume=True, **options)
    with pytest.raises(vaezoo.RunError, match="cannot be resumed with another config"):
        fit(small(), Batches(images(80)), resume=True, **options)


def test_reading_a_stream_leaves_the_generator_of_training_alone() -> None:
    torch.manual_seed(3)
    batches = taken(own_loader(), 9)
    after = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3), after)
    again = taken(own_loader(), 9)
    assert all(torch.equal(a.x, b.x) for a, b in zip(batches, again, strict=True))
    assert not torch.equal(torch.cat([b.x for b in batches[:6]]), images(48))


# What is no stream.


def test_a_loader_that_shows_its_dataset_is_still_read_into_memory() -> None:
    data = as_data(DataLoader(TensorDataset(images(40)), batch_size=5, shuffle=True))
    assert data.stream is None
    assert len(data.train) == 36
    assert as_data(Stream(DataLoader(TensorDataset(images(40))))).stream is not None


def test_arrays_names_and_lists_are_no_streams() -> None:
    with pytest.raises(vaezoo.DataError, match="cannot be a list of Tensor, Tensor, Tensor"):
        as_data([torch.zeros(2, 2)] * 3)
    assert as_data(np.zeros((4, 2), dtype=np.uint8)).stream is None
    assert as_data(TensorSource(torch.zeros(4, 2))).stream is None


def test_the_first_examples_are_what_pictures_and_checks_look_at() -> None:
    stream = Stream(Lines(200), num_classes=7)
    assert len(stream.first) == 64
    assert stream.first.num_classes == 7
    assert as_data(Lines(200)).description["splits"]["train"]["size"] is None
    with pytest.raises(vaezoo.OptionError, match="size of a stream must be at least 1"):
        Stream(Lines(), size=0)


@pytest.mark.parametrize("first", [torch.float32, torch.float64])
@pytest.mark.parametrize("later", [torch.float64, torch.float16, torch.float32, torch.bool])
def test_any_precision_becomes_float32_whichever_batch_it_comes_in(
    first: torch.dtype, later: torch.dtype
) -> None:
    a, b = torch.rand(4, 3), torch.rand(4, 3).round()
    stream = Stream([a.to(first), b.to(later)])
    parts = [part.x for part in stream.parts(0, 0)]
    assert [part.dtype for part in parts] == [torch.float32] * 2
    assert torch.equal(parts[0], a)
    assert torch.equal(parts[1], b)
    with pytest.raises(vaezoo.DataError, match="uint8"):
        [*Stream([a.to(first)] * 16 + [b.byte()]).parts(0, 0)]
