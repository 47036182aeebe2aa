"""Whether densities of latents are densities.

S draws of a proposal, B batch, D numbers of one latent.
"""

from __future__ import annotations

import torch
from torch.distributions import Distribution, StudentT

from vaezoo.inference import evaluating, seeded
from vaezoo.testing.report import brief, expect, expect_close
from vaezoo.testing.subject import CPU, Subject
from vaezoo.trace import Site

S, FREEDOM, WIDER = 8000, 5.0, 1.3
SURE = 0.05  # standard error, as a part of the integral, up to which it is an estimate at all
LARGEST = 12  # numbers of a latent, beyond which importance sampling tells nothing


def densities(subject: Subject) -> None:
    """Of an exact bound, each q(z|x) and each p(z) integrates to 1, and a site's log q is that of
    its q: else the ELBO and log p(x) are of no probability.

    Integrated by importance sampling, where a latent is continuous and the estimate is sure.
    """
    model, batch = subject.model(noise=0.1), subject.batch()
    if model.bound != "exact":
        return
    with seeded(0, CPU), evaluating(model):
        trace = model(batch.x, batch.y, 2)
        for site in trace.sites:
            look = f"log_prob of the {{}} of site {site.name!r}: a log-determinant, a constant?"
            if _continuous(site):
                for name, each in (("q", site.q), ("p", site.p)):
                    _integrates(each, name, site, look.format(name))
            if site.q.has_rsample and type(site) is Site:
                what = f"log q at z, by the q of site {site.name!r}"
                expect_close(site.log_q, site.q.log_prob(site.z), what, look.format("q"))


def _continuous(site: Site) -> bool:
    """Whether it has a density, of few enough numbers."""
    z = site.z
    spread = z.is_floating_point() and not torch.equal(z[0], z[1])
    return spread and site.code is z and z[0, 0].numel() <= LARGEST


def _integrates(each: Distribution, name: str, site: Site, look: str) -> None:
    event = len(each.event_shape)
    draws = each.sample(torch.Size((500,)))  # (500, *batch, *event)
    centre, spread = draws.mean(0), WIDER * draws.std(0).clamp(min=1e-6)
    proposal = StudentT(torch.full_like(centre, FREEDOM), centre, spread)
    z = proposal.sample(torch.Size((S,)))
    log_r = proposal.log_prob(z)  # type: ignore[no-untyped-call]
    log_r = log_r.flatten(log_r.ndim - event).sum(-1) if event else log_r
    ratios = (each.log_prob(z) - log_r).double().exp()  # (S, *batch)
    value, error = ratios.mean(0), ratios.std(0) / S**0.5
    if not ratios.isfinite().all():
        return
    off = (value - 1).abs() > 6 * error + 0.02
    expect(
        not (off & (error < SURE * value)).any(),
        expected=f"a {name} whose density integrates to 1",
        found=f"{brief(value)}, with standard errors {brief(error)}",
        look=look,
    )
