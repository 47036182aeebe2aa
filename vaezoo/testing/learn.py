"""Training, as the kit's checks do it: on the CPU, eagerly, by the shared trainer."""

from __future__ import annotations

from vaezoo.batch import Batch
from vaezoo.model import VAE
from vaezoo.training import fit


def train(model: VAE, batch: Batch, *, steps: int, learning_rate: float = 1e-3) -> None:
    """Train on these examples alone."""
    fit(
        model,
        batch.x if batch.y is None else (batch.x, batch.y),
        steps=steps,
        batch_size=len(batch.x),
        learning_rate=learning_rate,
        validation=0,
        device="cpu",
        execution="eager",
        progress=False,
    )
