"""Ways in which an evaluation has fooled others, that are not told of elsewhere.

Sampled z, the order of the examples, the remainder of the samples, and chunks: test_evaluation.py,
test_importance.py. Here: splits, their binarization, loaders, and what may choose a model.
"""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_mnist import HELD_OUT, TEST, TRAIN, small_mnist
from test_closed_forms import conjugate_model, last_linear
from torch.distributions import Normal
from torch.utils.data import DataLoader, TensorDataset
from training_helpers import QUICK, SHAPE, images, same, small, weights

import vaezoo
from vaezoo.data import Data, TensorSource, as_data, evaluation_batches

DIGEST = """
import hashlib, torch
from vaezoo.data import TensorSource, evaluation_batches
grey = torch.arange(7 * 30).reshape(7, 1, 6, 5) / 210
batches = evaluation_batches(TensorSource(grey), batch_size=4, binarization="dynamic")
x = torch.cat([batch.x for batch in batches])
print(hashlib.sha256(x.numpy().tobytes()).hexdigest())
"""


def splits(test: Any) -> Data:
    """Data whose train and validation splits are always the same."""
    return Data(
        name="mine",
        train=TensorSource(images(48)),
        validation=TensorSource(images(20, seed=1)),
        test=TensorSource(test),
        description={"name": "mine"},
    )


def test_the_test_split_chooses_nothing() -> None:
    """Other test images, the same run: weights, the best of them, and when it stopped."""
    options = {"steps": 60, "validate_every": 5, "patience": 2, "learning_rate": 0.1}
    runs = []
    for test in (images(9, seed=2), torch.zeros(5, *SHAPE)):
        model = small()
        history = vaezoo.fit(model, splits(test), **options, **QUICK)
        runs.append((weights(model), history.best, history.last("validation")))
    (first, best, last), (second, *others) = runs
    assert same(first, second)
    assert best is not None
    assert last is not None
    assert [best, last] == others
    assert best["step"] < last["step"] < 60  # something was chosen, and something stopped


def test_the_splits_of_a_name_are_the_same_whatever_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_mnist(tmp_path, monkeypatch)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        data = as_data("mnist")
        assert [len(split) for split in data.splits().values()] == [TRAIN, HELD_OUT, TEST]
        found.append([s.examples(torch.arange(len(s)))[0] for s in data.splits().values()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_test_images_are_binarized_alike_in_every_process() -> None:
    """Not anew on each run: a figure of another day is of the same binary images."""
    grey = torch.arange(7 * 30).reshape(7, *SHAPE) / 210
    x = torch.cat(
        [
            batch.x
            for batch in evaluation_batches(
                TensorSource(grey), batch_size=3, binarization="dynamic"
            )
        ]
    )
    command = [sys.executable, "-c", DIGEST]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(x.numpy().tobytes()).hexdigest()


def test_a_loader_that_shuffles_changes_no_figure() -> None:
    model, x = small(), images(37)
    loader = DataLoader(TensorDataset(x), batch_size=8, shuffle=True, drop_last=True)
    whole, loaded = (vaezoo.evaluate(model, data, ["elbo"]) for data in (x, loader))
    assert loaded["examples"] == 37
    assert loaded["elbo"] == whole["elbo"]
    assert loaded["elbo_standard_error"] == whole["elbo_standard_error"]


def test_a_partial_batch_of_hard_examples_counts_by_its_size() -> None:
    """1,000 easy examples and 3 hard ones: the mean of two batches' means would be far off."""
    model = small()
    x = torch.cat([torch.zeros(1000, *SHAPE), torch.ones(3, *SHAPE)])
    with torch.no_grad():
        last_linear(model.decoder).bias.fill_(-4.0)
    metric = {"name": "log-likelihood", "samples": 2}
    found = vaezoo.evaluate(model, x, ["elbo", metric])
    easy, hard = (vaezoo.evaluate(model, part, ["elbo", metric]) for part in (x[:3], x[1000:]))
    for name in ("elbo", "log_likelihood"):
        mean = (1000 * easy[name] + 3 * hard[name]) / 1003
        assert found[name] == pytest.approx(mean, rel=0.05)
        assert (easy[name] + hard[name]) / 2 < 5 * mean


def test_no_constant_is_missing_from_a_density() -> None:
    """One sample of the exact posterior is log p(x) itself: here N(x; 0, 1.25)."""
    x = torch.tensor([[-1.3], [0.2], [4.0]], dtype=torch.float64)
    found = conjugate_model(shift=0.0, widen=1.0).log_likelihood(x, samples=1)
    assert torch.allclose(found, Normal(0.0, math.sqrt(1.25)).log_prob(x[:, 0]), atol=1e-12)
