"""What ``vaezoo train`` does when it is told nothing."""

from __future__ import annotations

from typing import Any

VARIANT = "beta-vae"
DATA = "sprites"

DEFAULT_RUN: dict[str, dict[str, Any]] = {
    # Options of training, as in TrainingConfig.
    "training": {"steps": 2000, "batch_size": 64},
    # Options of the model, as `vaezoo.create` takes them; parts as {"name": ..., options}.
    "model": {"latent_dim": 10, "beta": 4.0},
}
"""Of the default variant on the default data; each value gives way to a flag."""
