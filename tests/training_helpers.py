"""What the tests of training share: small models, small data, short runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaezoo
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.step import TrainingStep

SHAPE = (1, 6, 5)
QUICK: dict[str, Any] = {"batch_size": 8, "progress": False}


def small(name: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create(
        name,
        input_shape=SHAPE,
        latent_dim=3,
        network={"name": "mlp", "hidden": [16]},
        **options,
    )


def images(n: int = 40, seed: int = 0) -> Tensor:
    """Binary images, each of one lit row."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(n, *SHAPE)
    x[torch.arange(n), 0, torch.randint(SHAPE[1], (n,), generator=generator)] = 1
    return x


def weights(model: vaezoo.VAE) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def make_step(model: vaezoo.VAE, **options: Any) -> TrainingStep:
    config = TrainingConfig(**{"steps": 100, "device": "cpu", **options})
    return TrainingStep(model, resolve(config, steps_per_epoch=10))


def train(model: vaezoo.VAE, out: Path | None, **options: Any) -> vaezoo.History:
    arguments: dict[str, Any] = {
        "steps": 30,
        "validate_every": 10,
        "log_every": 4,
        "binarization": "dynamic",
    }
    return vaezoo.fit(model, images(48), out=out, **{**arguments, **QUICK, **options})


class Stop(Exception):
    pass


def interrupt_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Crash at the start of a step."""
    original = TrainingStep.__call__

    def crash(self: TrainingStep, batch: vaezoo.Batch, step: int) -> None:
        if step == number:
            raise Stop
        original(self, batch, step)

    monkeypatch.setattr(TrainingStep, "__call__", crash)
