"""Where to look at a decoder of two latents: the values of a plane.

Shapes: N examples, G values of a latent.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaezoo.errors import DataError
from vaezoo.inference import evaluating
from vaezoo.model import VAE
from vaezoo.words import counted

CENTRAL = 0.95
"""Of the codes, what the plane of a prior without quantiles reaches over, in each dimension."""


def plane(
    model: VAE,
    codes: Tensor,
    n: int = 20,
    *,
    label: int | None = None,
    by_prior: bool = True,
) -> tuple[Tensor, str]:
    """``n`` ascending values of each of two latents, (2, n), and in words how they were chosen.

    They are the quantiles (i + ½)/n of the prior, by its inverse cumulative distribution function
    (Kingma & Welling 2014, figure 4). A prior that has none (a mixture, a flow) cannot say where
    to look: even steps over the central 95 % of ``codes``, the posterior means (N, 2) of
    examples, take their place. label: the class whose prior p(z|y) it is. by_prior: False leaves
    the prior unasked, where nothing brings the codes near to it. Raises DataError for codes that
    are not finite.
    """
    values = _prior_values(model, label, n) if by_prior else None
    if values is not None:
        ends = f"from its {50 / n:.3g} % to its {100 - 50 / n:.3g} % quantile"
        return values, f"in steps of equal probability under the prior, {ends}"
    if not codes.isfinite().all():
        raise DataError("a plane without quantiles of the prior needs finite posterior means")
    ends_of = torch.tensor([(1 - CENTRAL) / 2, (1 + CENTRAL) / 2]).to(codes)
    low, high = torch.quantile(codes, ends_of, dim=0).unsqueeze(2)  # (2, 1) each
    values = low + (high - low) * torch.linspace(0, 1, n).to(codes)
    how = (
        f"in even steps over the central {CENTRAL:.0%} of {counted(len(codes), 'posterior mean')}"
    )
    return values, f"{how}, for want of a prior with quantiles"


def _prior_values(model: VAE, label: int | None, n: int) -> Tensor | None:
    y = None if label is None else torch.full((1,), label, device=model.device)
    with evaluating(model):
        return quantiles(model.prior(y), n)


def quantiles(p: Distribution, n: int) -> Tensor | None:
    """The quantiles (i + ½)/n, i < n, of each dimension of p(z): (D, n).

    None unless p is factorised and has an inverse cumulative distribution function. Of a p with
    batch shape (B,), the first.
    """
    if not isinstance(p, Independent) or p.base_dist.event_shape != ():
        return None
    share = ((torch.arange(n, dtype=torch.float64) + 0.5) / n).to(p.mean)
    values: Tensor
    try:
        values = p.base_dist.icdf(share.view(-1, *[1] * p.mean.ndim))
    except NotImplementedError:
        return None
    return values.reshape(n, -1)[:, : p.event_shape.numel()].T
