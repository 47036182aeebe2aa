"""What training does when it is not told, for many examples and for few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import vaezoo
from vaezoo.training.config import TrainingConfig, resolve, sized


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps"),
    [
        (1, 1, 2000),
        (7, 1, 2002),
        (30, 4, 2002),
        (239, 32, 2002),
        (511, 64, 2002),
        (512, 128, 2000),
        (50_000, 128, 3900),
    ],
)
def test_few_examples_get_small_batches_and_many_epochs(
    examples: int, batch_size: int, steps: int
) -> None:
    config = sized(TrainingConfig(), examples)
    assert config.batch_size == batch_size
    assert resolve(config, examples // batch_size).steps == steps


def test_what_is_told_stays_as_it_is() -> None:
    config = sized(TrainingConfig(batch_size=100, epochs=3), 239)
    assert config.batch_size == 100
    assert resolve(config, 2).steps == 6
    assert resolve(TrainingConfig(steps=7, epochs=3), 2).steps == 7


@pytest.mark.parametrize(
    ("steps_per_epoch", "steps", "every"),
    [(390, 3900, 390), (7, 2000, 40), (5000, 2000, 500), (1, 30, 1), (3, 200, 4)],
)
def test_it_validates_four_to_fifty_times(steps_per_epoch: int, steps: int, every: int) -> None:
    resolved = resolve(TrainingConfig(steps=steps), steps_per_epoch)
    assert resolved.validate_every == every
    assert 4 <= -(-steps // every) <= 50
    assert resolve(TrainingConfig(validate_every=3), 7).validate_every == 3


def test_a_handful_of_examples_can_be_trained_on_as_they_are(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(4,), latent_dim=2)
    vaezoo.fit(model, torch.randn(30, 4), steps=3, out=tmp_path / "run", progress=False)
    training = json.loads((tmp_path / "run" / "config.json").read_text())["training"]
    assert training["batch_size"] == 4  # of 27: 3 are held out
