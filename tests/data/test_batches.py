"""Batches: training is shuffled and resumable, evaluation is in order and repeatable."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vaezoo.batch import Batch
from vaezoo.data.batches import TrainingBatches, evaluation_batches
from vaezoo.data.source import Source, Subset, TensorSource
from vaezoo.errors import DataError, OptionError

N, B = 23, 5


def numbered(n: int = N) -> TensorSource:
    """(n, 1, 4, 3) uint8, example i full of i, labelled i."""
    x = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(n, 1, 4, 3)
    return TensorSource(x, torch.arange(n))


def grey() -> TensorSource:
    return TensorSource(torch.full((N, 1, 4, 3), 128, dtype=torch.uint8))


def training(source: Source | None = None, **options: Any) -> TrainingBatches:
    return TrainingBatches(source or numbered(), **{"batch_size": B, "seed": 0, **options})


def indices(batch: Batch) -> list[int]:
    assert batch[2] is not None
    return [int(i) for i in batch[2]]


def test_an_epoch_shows_each_example_at_most_once_and_drops_the_partial_batch() -> None:
    batches = training()
    assert batches.steps_per_epoch == 4
    shown = [i for step in range(4) for i in indices(batches.batch(step))]
    assert len(shown) == len(set(shown)) == 20


def test_an_epoch_of_full_batches_shows_every_example() -> None:
    batches = training(numbered(20))
    shown = [i for step in range(4, 8) for i in indices(batches.batch(step))]
    assert sorted(shown) == list(range(20))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    batches = training()
    epochs = [[i for s in range(4) for i in indices(batches.batch(4 * e + s))] for e in range(3)]
    epochs.append([i for s in range(4) for i in indices(training(seed=1).batch(s))])
    assert len({tuple(order) for order in epochs}) == 4
    assert epochs[0] != sorted(epochs[0])


def test_a_batch_holds_the_examples_that_its_index_names() -> None:
    batch = training().batch(2)
    expected = torch.tensor(indices(batch))
    assert batch.x.shape == (B, 1, 4, 3)
    assert batch.x.dtype == torch.float32
    assert batch.x.is_contiguous()
    assert torch.equal((batch.x[:, 0, 3, 2] * 255).round().long(), expected)
    assert batch.y is not None
    assert torch.equal(batch.y, expected)


def test_resuming_at_a_step_equals_continuing() -> None:
    running = training(binarization="static")
    for step in range(6):
        running.batch(step)
    resumed = training(binarization="static")
    for step in (6, 7, 8, 13):
        assert indices(resumed.batch(step)) == indices(running.batch(step))
        assert torch.equal(resumed.batch(step).x, running.batch(step).x)


def test_shuffling_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    training(binarization="static").batch(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_dynamic_binarization_draws_anew_in_training_from_the_global_generator() -> None:
    batches = training(grey(), binarization="dynamic")
    torch.manual_seed(0)
    first, second = batches.batch(0).x, batches.batch(0).x
    torch.manual_seed(0)
    assert torch.equal(batches.batch(0).x, first)
    assert not torch.equal(first, second)


def test_static_binarization_shows_an_example_alike_in_every_epoch_and_in_evaluation() -> None:
    options: Any = {"binarization": "static", "binarization_seed": 4}
    batches = training(grey(), **options)
    fixed = next(evaluation_batches(grey(), batch_size=N, **options)).x
    for step in (0, 5, 11):
        batch = batches.batch(step)
        assert torch.equal(batch.x, fixed[indices(batch)])
    other = next(evaluation_batches(grey(), batch_size=N, binarization="static")).x
    assert not torch.equal(other, fixed)


def test_evaluation_shows_all_examples_in_order_with_the_partial_batch() -> None:
    batches = list(evaluation_batches(numbered(), batch_size=B))
    assert [len(batch.x) for batch in batches] == [5, 5, 5, 5, 3]
    assert [i for batch in batches for i in indices(batch)] == list(range(N))
    for batch in batches:
        assert batch.y is not None
        assert batch.y.tolist() == indices(batch)
        assert batch.x.dtype == torch.float32


def test_dynamic_binarization_is_evaluated_as_one_fixed_draw_whatever_the_batch_size() -> None:
    def all_of(kind: Any, size: int) -> torch.Tensor:
        batches = evaluation_batches(grey(), batch_size=size, binarization=kind)
        return torch.cat([batch.x for batch in batches])

    assert torch.equal(all_of("dynamic", 5), all_of("dynamic", 7))
    assert torch.equal(all_of("dynamic", 5), all_of("static", 5))


def test_a_subset_is_shuffled_over_its_own_examples() -> None:
    batches = training(Subset(numbered(), [3, 1, 4, 15, 9, 2]), batch_size=6)
    labels = batches.batch(0).y
    assert labels is not None
    assert sorted(labels.tolist()) == [1, 2, 3, 4, 9, 15]


def test_fewer_examples_than_a_batch_are_refused_with_both_numbers() -> None:
    with pytest.raises(DataError, match=r"batch of 24 .* 23 training examples; .* 23 or less"):
        training(batch_size=24)


@pytest.mark.parametrize("make", [training, lambda **o: evaluation_batches(numbered(), **o)])
def test_options_out_of_range_are_refused_at_once(make: Any) -> None:
    with pytest.raises(OptionError, match="batch_size must be 1 or more, not 0"):
        make(batch_size=0)
    with pytest.raises(OptionError, match=r"binarization.*Did you mean 'dynamic'"):
        make(batch_size=3, binarization="dynamics")


def test_binarization_of_values_beyond_the_unit_interval_is_refused() -> None:
    source = TensorSource(torch.linspace(-1, 1, 14).view(7, 2))
    assert training(source).batch(0).x.min() < 0
    with pytest.raises(DataError, match=r"'threshold' needs values in \[0, 1\]"):
        training(source, binarization="threshold")
    with pytest.raises(DataError, match="rescale"):
        evaluation_batches(source, batch_size=3, binarization="dynamic")
