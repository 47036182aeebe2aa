"""The KL, what the objective does with it, and the bound.

B batch, K importance samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from vaezoo.batch import Batch
from vaezoo.heads.gaussian import normal
from vaezoo.inference import seeded
from vaezoo.model import VAE
from vaezoo.objectives import ELBO, Objective, reduce
from vaezoo.testing.checks_loss import log_px
from vaezoo.testing.report import brief, expect, expect_close, expect_mean
from vaezoo.testing.subject import CPU, Subject, base_of, traces, weights_of
from vaezoo.trace import Site, Trace

DRAWS = 2000
FAR = 200.0  # nats of KL: beyond free bits and capacities
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)


def kl(subject: Subject) -> None:
    """Each site's KL is at least 0 in expectation, and is the mean of log q(z|x) - log p(z) over
    samples of q, for images that differ."""
    model, batch = subject.model(noise=0.05), subject.batch()
    if model.bound != "exact":
        return
    drawn = [*traces(model, batch, DRAWS)]
    for i, first in enumerate(drawn[0].sites):
        sites = [trace.sites[i] for trace in drawn]
        kls = torch.cat([site.kl for site in sites]).double()
        estimates = torch.cat([(site.log_q - site.log_p) for site in sites]).double()
        look = f"the KL of site {first.name!r} ({first.kl_kind}): its q, p, log_q and log_p"
        error = kls.std(0) / DRAWS**0.5
        expect(
            (kls.mean(0) >= -4 * error - 1e-5).all(),
            expected="KL >= 0 in expectation (4 standard errors)",
            found=brief(kls.mean(0)),
            look=f"{look}; is its sign wrong?",
        )
        what = f"KL {brief(kls.mean(0))} minus the mean of log q - log p"
        expect_mean(kls - estimates, 0.0, 5, what, look)


def regularizer(subject: Subject) -> None:
    """Of an exact bound, what the loss adds to -log p(x|z) has a gradient, following it takes
    q(z|x) nearer to the prior, and it is another where every latent stands twice.

    Looked at where the KL is large, beyond free bits and capacities; the sign is that of ELBOs.
    """
    model, batch = far(subject), subject.batch()
    objective = model.objective
    weights = weights_of(objective)
    default = type(objective).loss is Objective.loss
    unweighted = "beta" in weights and weights["beta"] == 0
    if model.bound != "exact" or not default or unweighted:
        return
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, 64)
    divergence = torch.stack([site.log_q - site.log_p for site in trace.sites]).sum(0).mean()
    towards = _gradient(divergence, model)
    if not towards.any():
        return  # a q without parameters
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, objective.samples)
    trace.log_px = trace.log_px.detach()
    pull = _gradient(objective.score(trace, weights).loss.mean(), model)
    look = f"score() and regularizer() of {type(objective).__qualname__}, and the sites' kl"
    expect(
        pull.any(),
        expected="a gradient from the KL to the parameters of q(z|x)",
        found="none: the KL is detached, or left out",
        look=look,
    )
    cosine = torch.nn.functional.cosine_similarity(pull, towards, dim=0).item()
    expect(
        cosine > 0 or not isinstance(objective, ELBO),
        expected="a regularizer that falls as KL(q(z|x) || p(z)) falls",
        found=f"one that rises (cosine of the two gradients {cosine:.3f}): wrong sign of the KL?",
        look=look,
    )
    _sums_over_latents(objective, model, subject, look)


def _sums_over_latents(objective: Objective, model: VAE, subject: Subject, look: str) -> None:
    """Twice as many latents, alike two by two, double the KL; a mean over latents stays."""
    batch, weights = subject.batch(), weights_of(objective)
    with seeded(0, CPU), torch.no_grad():
        trace = model(batch.x, batch.y, objective.samples)
    doubled = [_twice(site) for site in trace.sites]
    if type(trace) is not Trace or any(site is None for site in doubled):
        return
    values = []
    for sites in (trace.sites, (*filter(None, doubled),)):
        each = Trace(trace.x, trace.px, sites, penalties=trace.penalties, bound=trace.bound)
        each.log_px = torch.zeros_like(trace.log_px)
        try:
            values.append(objective.score(each, weights).loss.mean().item())
        except Exception:  # a critic, say, which takes so many latents and no more
            return
    once, twice = values
    expect(
        abs(twice - once) > 1e-4 * abs(once),
        expected="a loss that sums over the latents: another one where each of them stands twice",
        found=f"{once:.6g}, and {twice:.6g} with all latents twice: is there a mean over latents?",
        look=look,
    )


def _twice(site: Site) -> Site | None:
    """The site with each latent twice, where both q and p are factorised normals."""
    q, p, ndims = base_of(site.q), base_of(site.p), len(site.q.event_shape)
    if not (isinstance(q, Normal) and isinstance(p, Normal) and ndims):
        return None
    return Site(
        normal(_doubled(q.loc), _doubled(q.scale), ndims),
        normal(_doubled(p.loc), _doubled(p.scale), ndims),
        _doubled(site.z),
        name=site.name,
    )


def _doubled(values: Tensor) -> Tensor:
    return torch.cat([values, values], -1)


def far(subject: Subject) -> VAE:
    """A model whose q(z|x) lies far from its prior, as far as it gets."""
    best = subject.model()
    for noise in NOISES:
        model = subject.model(noise=noise)
        trace = next(traces(model, subject.batch(), 16))
        estimate = (trace.log_px - trace.log_w).mean() if trace.sites else torch.zeros(())
        if not (estimate.isfinite() and log_px(trace).isfinite().all()):
            break
        best = model
        if estimate > FAR:
            break
    return best


def _gradient(value: Tensor, model: VAE) -> Tensor:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not value.requires_grad:
        return torch.zeros(1)
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    flat = [(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs]
    return torch.cat(flat).double()


def bound(subject: Subject) -> None:
    """Of an exact bound, the importance-weighted one with K=1 equals the ELBO in expectation,
    and it grows with K; one that the objective names in ``maximises`` is what the loss lowers."""
    model, repeats = subject.model(noise=0.03), 150
    if model.bound != "exact":
        return
    batch = subject.batch()
    _own_bound(model, batch)
    x = batch.x.repeat_interleave(repeats, 0)
    y = None if batch.y is None else batch.y.repeat_interleave(repeats)

    def by_draw(values: Tensor) -> Tensor:
        return values.double().reshape(-1, repeats).t()  # (repeats, B)

    elbo = by_draw(model.elbo(x, y, seed=0))
    ones = by_draw(model.log_likelihood(x, y, samples=1, seed=1))
    many = by_draw(model.log_likelihood(x, y, samples=16, seed=2))
    look = "Trace.log_w and Trace.elbo: the same log p(x|z), the same q and p in kl, log_q, log_p"
    expect_mean(ones - elbo, 0.0, 4, "the bound with K=1 minus the ELBO", look)
    growth = (many - ones).mean(1)
    error = growth.std() / repeats**0.5
    expect(
        growth.mean() >= -4 * error - 1e-4,
        expected="a bound that grows from K=1 to K=16",
        found=f"a change of {growth.mean():.4g} nats, with a standard error of {error:.2g}",
        look="Trace.log_w: log p(x|z) + log p(z) - log q(z|x), never averaged over K",
    )


def _own_bound(model: VAE, batch: Batch) -> None:
    objective, own = model.objective, model.objective.maximises
    if own == "elbo":
        return
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, objective.samples)
    terms = objective.score(trace, weights_of(objective))
    look = f"maximises, and score(), of {type(objective).__qualname__}"
    expect(
        own in terms.logs,
        expected=f"the figure {own!r}, which maximises names, in Terms.logs",
        found=", ".join(terms.logs) or "no figures",
        look=look,
    )
    value = reduce(terms.logs[own]).detach()
    low, high = (reduce(v).item() for v in (trace.log_w.mean(0), trace.log_w.amax(0)))
    expect(
        low - 1e-4 * abs(low) <= value.item() <= high + 1e-4 * abs(high),
        expected=f"{own} from the mean to the largest of log_w over K, {low:.6g} to {high:.6g}",
        found=f"{value.item():.6g}",
        look=f"{look}: K and its logarithm",
    )
    penalties = sum((reduce(each) for each in trace.penalties.values()), torch.zeros(()))
    loss = reduce(terms.loss)
    expect_close(loss, penalties - value, f"a loss of -{own}, plus the model's penalties", look)
