"""The aggregate posterior, q(z) = 1/N Σ_n q(z|x_n): what its density is made of.

Shapes: K draws of z for each of B examples, R draws at once, D latent dimensions.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaezoo.batch import Batch
from vaezoo.errors import OptionError
from vaezoo.trace import Site, Trace

Estimator = Literal["stratified", "weighted"]
VALUES = 2**22
"""Densities, of one dimension each, that are computed at once: those of a training batch, while a
large one, or one of spatial codes, goes in pieces."""


def only_site(trace: Trace, owner: str) -> Site:
    """The one group of latents that ``owner`` is about. Raises OptionError for several."""
    if len(trace.sites) != 1:
        raise OptionError(
            f"{owner} is about the q(z) of one group of latents, and this model has "
            f"{len(trace.sites)}: take another objective"
        )
    return trace.sites[0]


def check_batch(batch: Batch, owner: str) -> None:
    """Raises OptionError for a batch of one, which says nothing of q(z)."""
    if len(batch.x) < 2:
        raise OptionError(
            f"{owner} compares the examples of a batch with each other: batch_size must be at "
            f"least 2, and should be some tens"
        )


def factors(p: Distribution) -> Distribution | None:
    """The distribution of the single dimensions, or None where they are not independent."""
    while isinstance(p, Independent):
        p = p.base_dist
    return p if p.event_shape == () else None


def log_q_by_dimension(z: Tensor, q: Distribution) -> Tensor | None:
    """log q(z_d|x_n) of each draw under each example: z (..., *event), q (B,) -> (..., B, D).

    None where q(z|x) is no product over dimensions.
    """
    if (each := factors(q)) is None:
        return None
    leading = z.ndim - len(q.event_shape)
    return flat(each.log_prob(z.unsqueeze(leading)), leading + 1)


def flat(values: Tensor, leading: int) -> Tensor:
    """The dimensions after the first ``leading`` as one, also where there are none."""
    return values.flatten(leading) if values.ndim > leading else values.unsqueeze(leading)


def log_aggregate(
    z: Tensor, q: Distribution, total: Tensor, estimator: Estimator = "stratified"
) -> tuple[Tensor, Tensor]:
    """Estimates of log q(z) and of Σ_d log q(z_d) at the draws of a batch: (K, B) each, nats.

    z (K, B, *event) are draws of q, batch shape (B,), which is factorised. total (): N, how many
    examples the batch was drawn from without replacement. estimator: see ``log_weights``.
    """
    log_w = log_weights(z.shape[1], total.to(z), estimator)
    rows = max(1, VALUES // z.numel())
    joint, marginals = [], []
    for draws, weights in zip(torch.split(z, rows, 1), torch.split(log_w, rows), strict=True):
        each = log_q_by_dimension(draws, q)  # (K, R, B, D)
        assert each is not None
        joint.append((each.sum(-1) + weights).logsumexp(-1))
        marginals.append((each + weights.unsqueeze(-1)).logsumexp(-2).sum(-1))
    return torch.cat(joint, 1), torch.cat(marginals, 1)


def log_weights(size: int, total: Tensor, estimator: Estimator) -> Tensor:
    """log of what q(z|x_n), n in the batch, weighs in q(z) at a draw of the m-th: (B, B), [m, n].

    stratified: the draw's own example weighs 1/N, as in q(z), and the others share the rest. That
    is the mean of the weights of Chen et al. 2018, appendix C.2, over which of the others comes
    last: as unbiased an estimate of q(z), which no longer depends on the order, varies less, and
    is exact where the batch is the data set. weighted: all weigh 1/(NB) (eq. 3 there), a biased
    estimate, too low by up to log N; most of that is a constant, which has no gradient.
    """
    total = total.clamp(min=size)
    if estimator == "weighted":
        return -(total * size).log().expand(size, size)
    others = ((total - 1) / (total * max(size - 1, 1))).log()
    own = torch.eye(size, dtype=torch.bool, device=total.device)
    return torch.where(own, -total.log(), others)
