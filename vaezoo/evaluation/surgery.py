"""ELBO surgery: what the KL is made of, by the aggregate posterior of the examples measured.

q(z) = 1/N Σ_n q(z|x_n). Hoffman & Johnson 2016, "ELBO surgery: yet another way to carve up the
variational evidence lower bound"; Chen et al. 2018 (beta-TCVAE), eq. 2, for the second cut.

Shapes: N examples, S draws of all of them, R draws compared at once, B examples of a batch,
D latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaezoo.aggregate import factors, flat, log_q_by_dimension
from vaezoo.batch import Batch
from vaezoo.data import Subset
from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import Evaluation
from vaezoo.evaluation.likelihood import mean_and_error
from vaezoo.trace import Site

BATCH = 200
VALUES = 2**17
"""Densities, of one dimension each, that are computed at once: what a CPU's cache holds."""


@dataclass(frozen=True, kw_only=True)
class ElboSurgery:
    """Options of the metric ``elbo-surgery``."""

    examples: int = 5000
    """N, at most: each draw is compared with every example, so time grows with the square."""
    draws: int = 1
    """Of z, for each example."""

    def __post_init__(self) -> None:
        if self.examples < 2 or self.draws < 1:
            raise ValueError(
                f"it takes at least 2 examples and 1 draw, not {self.examples} and {self.draws}"
            )


def elbo_surgery(options: ElboSurgery) -> Any:
    """The recipe of the metric ``elbo-surgery``; all figures are in nats.

    E_x KL(q(z|x)||p(z)) = I(x;z) + KL(q(z)||p(z)), ``kl_of_draws`` = ``mutual_information`` +
    ``marginal_kl``; where q is factorised, the latter is TC(q(z)) + Σ_d KL(q(z_d)||p(z_d)),
    ``total_correlation`` + ``dimension_wise_kl`` (NaN where it is not). All are means over the
    same draws, so the sums are exact. q(z) is that of the N examples at hand,
    ``surgery_examples``, taken in even steps from all: I(x;z) says how well z tells these apart,
    and is at most ln N, ``mutual_information_limit``.

    Raises DataError for models of several sites, and for a p(z|y) that depends on labels.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        source = evaluation.source
        n = min(len(source), options.examples)
        if n < 2:
            raise DataError("elbo-surgery compares examples: it needs at least 2")
        if n < len(source):
            source = Subset(source, torch.linspace(0, len(source) - 1, n).long())
        sites = [_site(evaluation, b, options.draws) for b in evaluation.batches(source, BATCH)]
        rows = torch.cat([row for site in sites for row in _log_densities(site, sites)])
        log_q_x, log_q, log_q_each, log_p, log_p_each = rows.unbind(1)
        terms = {
            "mutual_information": log_q_x - log_q,
            "marginal_kl": log_q - log_p,
            "total_correlation": log_q - log_q_each,
            "dimension_wise_kl": log_q_each - log_p_each,
            "kl_of_draws": log_q_x - log_p,
        }
        means, errors = mean_and_error(torch.stack([*terms.values()]))
        figures: dict[str, float] = {}
        for name, mean, error in zip(terms, means, errors, strict=True):
            figures |= {name: mean, f"{name}_standard_error": error}
        return {
            **figures,
            "mutual_information_limit": math.log(n),
            "surgery_examples": n,
            "surgery_draws": options.draws,
        }

    return compute


def _site(evaluation: Evaluation, batch: Batch, draws: int) -> Site:
    trace = evaluation.model(batch.x, batch.y, samples=draws)
    if len(trace.sites) != 1:
        raise DataError(
            f"elbo-surgery needs one group of latents with q(z|x) and p(z), and this model has "
            f"{len(trace.sites)}; the metric 'latents' measures the KL of each"
        )
    site: Site = trace.sites[0]
    if site.code is not site.z:
        raise DataError("elbo-surgery needs a prior of z itself, and this model has one of codes")
    if site.p.batch_shape != ():
        raise DataError("elbo-surgery needs one prior p(z), and this model's depends on labels")
    if not torch.allclose(site.q.log_prob(site.z), site.log_q, rtol=1e-3, atol=1e-3):
        raise DataError("elbo-surgery needs a q(z|x) whose density tells that of other draws too")
    return site


def _log_densities(site: Site, sites: list[Site]) -> Iterator[Tensor]:
    """Of a site's draws (R, 5): log q(z|x), log q(z), Σ log q(z_d), log p(z), Σ log p(z_d)."""
    z = site.z.flatten(0, 1)  # (S B, *event)
    given_x, prior = (v.reshape(-1).double() for v in (site.log_q, site.log_p))
    n = sum(len(other.z[0]) for other in sites)
    size = max(1, VALUES // (BATCH * z[0].numel()))
    p_each = factors(site.p)
    for start in range(0, len(z), size):
        piece = slice(start, start + size)
        joint, each = _aggregate(z[piece], sites)
        nothing = torch.full_like(joint, torch.nan)
        yield torch.stack(
            [
                given_x[piece],
                joint - math.log(n),
                nothing if each is None else (each - math.log(n)).sum(1),
                prior[piece],
                nothing if p_each is None else flat(p_each.log_prob(z[piece]), 1).sum(1),
            ],
            dim=1,
        )


def _aggregate(z: Tensor, sites: list[Site]) -> tuple[Tensor, Tensor | None]:
    """log Σ_n q(z|x_n) of draws (R, *event): (R,); and of each dimension, if q is factorised."""
    joint: list[Tensor] = []
    each: list[Tensor] = []
    for q in (site.q for site in sites):
        if (log_q_each := log_q_by_dimension(z, q)) is None:
            log_q = q.log_prob(z.unsqueeze(1)).double()  # (R, B)
        else:
            log_q_each = log_q_each.double()  # (R, B, D)
            each.append(log_q_each.logsumexp(1))
            log_q = log_q_each.sum(2)
        joint.append(log_q.logsumexp(1))
    whole = torch.stack(joint).logsumexp(0)
    return whole, torch.stack(each).logsumexp(0) if each else None
