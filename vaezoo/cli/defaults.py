"""What ``vaezoo train`` does when it is told nothing."""

from __future__ import annotations

from typing import Any

VARIANT = "beta-vae"
DATA = "sprites"

# Each value gives way to a flag. Small batches, a rate that falls, and a KL that comes in slowly:
# what showed shape, place and size soonest on two CPU cores.
TRAINING: dict[str, Any] = {
    "steps": 13_000,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "lr_schedule": "cosine",
    "lr_warmup_steps": 100,
}
"""Options of training on the default data, for any variant, as in TrainingConfig."""

SIZES: dict[str, Any] = {
    "latent_dim": 10,
    "network": {"name": "conv", "patch": 4, "channels": [32, 32, 64], "activation": "silu"},
}
"""Options of any variant on the default data that is trained beside others, to compare them."""

MODEL: dict[str, Any] = {**SIZES, "beta": 1.5, "warmup_steps": 10_000}
"""Options of the default variant on the default data, as ``vaezoo.create`` takes them."""
