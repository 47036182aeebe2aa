"""Scoring a model on a split: sampled z, every example with its own weight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.data import Binarization, Source, evaluation_batches
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE

FIGURES = ("loss", "elbo", "reconstruction", "kl")


def validate(
    model: VAE,
    source: Source,
    *,
    weights: dict[str, Tensor],
    binarization: Binarization,
    batch_size: int,
    seed: int = 0,
) -> dict[str, float]:
    """Means over all examples of the objective's loss and of ELBO, reconstruction and KL, nats.

    The draws of z come from ``seed``, the same at every call, and the caller's random state is
    left alone.
    """
    device = model.device
    total = torch.zeros(len(FIGURES), dtype=torch.float64, device=device)
    count = 0
    with evaluating(model), seeded(seed, device):
        for batch in batches(source, binarization, batch_size):
            total += _sums(model, batch, weights)
            count += len(batch.x)
    means = (total / count).tolist()
    return dict(zip(FIGURES, means, strict=True))


def batches(source: Source, binarization: Binarization, batch_size: int) -> Iterator[Batch]:
    """The whole split in its order, the last partial batch included."""
    return evaluation_batches(source, batch_size=batch_size, binarization=binarization)


def _sums(model: VAE, batch: Batch, weights: dict[str, Tensor]) -> Tensor:
    trace = model(batch.x.to(model.dtype), batch.y)
    loss = model.objective.score(trace, weights).loss.mean() * len(batch.x)
    per_example = [trace.elbo[0], trace.log_px[0], trace.kl[0]]
    return torch.stack([loss, *(value.sum() for value in per_example)]).double()
