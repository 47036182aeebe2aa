"""Scoring a model on a split: sampled z, every example with its own weight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.data import Binarization, Source, evaluation_batches
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.objectives import reduce


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

    A bound of the objective's own (``maximises``) stands beside the ELBO, with all of its draws.
    What is no bound has no ELBO; what has no latents of its own, as an autoencoder, has no KL.

    The draws of z come from ``seed``, the same at every call, and the caller's random state is
    left alone.
    """
    device = model.device
    names: tuple[str, ...] = ()
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    with evaluating(model), seeded(seed, device):
        for batch in batches(source, binarization, max(1, batch_size // model.objective.samples)):
            sums = _sums(model, batch, weights)
            names = tuple(sums)
            total = total + torch.stack([*sums.values()]).double()
            count += len(batch.x)
    return dict(zip(names, (total / count).tolist(), strict=True))


def batches(source: Source, binarization: Binarization, batch_size: int) -> Iterator[Batch]:
    """The whole split in its order, the last partial batch included."""
    return evaluation_batches(source, batch_size=batch_size, binarization=binarization)


def _sums(model: VAE, batch: Batch, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    # As many draws as in training, since the loss may depend on how many; of figures, the first.
    trace = model(batch.x.to(model.dtype), batch.y, model.objective.samples)
    terms, own = model.objective.score(trace, weights), model.objective.maximises
    sums = {"loss": terms.loss.mean() * len(batch.x)}
    if own != "elbo":
        sums[own] = reduce(terms.logs[own]) * len(batch.x)
    if trace.bound != "none":
        sums["elbo"] = trace.elbo[0].sum()
    sums["reconstruction"] = trace.log_px[0].sum()
    if trace.sites:
        sums["kl"] = trace.kl[0].sum()
    return sums
