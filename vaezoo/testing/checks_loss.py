"""The loss against its formula.

B batch, K importance samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal
from torch.nn.functional import logsigmoid

from vaezoo.errors import VaezooError
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.objectives import ELBO, Objective, Phase, Weights
from vaezoo.testing.report import expect, expect_close, expect_shape
from vaezoo.testing.subject import CPU, B, K, Subject, base_of, weights_of
from vaezoo.trace import Site, Trace
from vaezoo.training.gradient import score_function

RUNS = 25  # forward passes that estimate a mean loss
REDUCTIONS = "sums over event dimensions (no mean over pixels), mean over K, one loss per example"

COUPLED = (
    "means or sums over dimension 0 of the batch; if they are meant, as in a loss () of the whole "
    "batch: per_example = False"
)


def loss(subject: Subject) -> None:
    """The loss is in nats, summed over event dimensions, one for each example: an ELBO's is the
    mean over K of -log p(x|z) + regularizer + penalties, and the step takes its batch mean.

    An objective that is no ELBO and no bound may scale as it likes; one that is an exact bound
    must weigh log p(x|z) by one in all, and gain nothing from draws that are all the same.
    """
    model, batch = subject.model(noise=0.02), subject.batch()
    objective = model.objective
    weights = weights_of(objective)
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, K)
    look = "the likelihood's log_prob"
    expect_close(trace.log_px, log_px(trace), f"log p(x|z), recomputed: {REDUCTIONS}", look)
    if isinstance(objective, ELBO):
        look = f"score() of {type(objective).__qualname__}: {REDUCTIONS}"
        scored = objective.score(trace, weights).loss
        terms = "the mean over K of -log p(x|z) + regularizer + penalties, in float64"
        defined = elbo_loss(objective, trace, weights)
        if scored.ndim == 0 and not objective.per_example:
            defined = defined.mean()
        expect_close(scored, defined, terms, look)
        if type(objective).phases is Objective.phases and type(objective).loss is Objective.loss:
            _reduction(model, subject, look)
    elif model.bound == "exact" and type(objective).loss is Objective.loss:
        _weight_of_log_px(objective, trace, weights)
    if model.bound == "exact" and type(objective).loss is Objective.loss:
        _repeated_draws(model, subject, weights)


def _reduction(model: VAE, subject: Subject, look: str) -> None:
    batch, weights = subject.batch(), weights_of(model.objective)
    (phase,) = model.objective.phases(model)
    with seeded(0, CPU):
        stepped = score_function(phase)(model, batch, weights)[0]
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, model.objective.samples)
    assert isinstance(model.objective, ELBO)
    mean = elbo_loss(model.objective, trace, weights).mean()
    expect_close(stepped, mean, "what the step minimises: the mean over the batch", look)


def _weight_of_log_px(objective: Objective, trace: Trace, weights: Weights) -> None:
    leaf = trace.log_px.detach().requires_grad_()
    trace.log_px = leaf
    scored = objective.score(trace, weights).loss
    total = scored.sum() if scored.ndim else scored * B
    (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True)
    expect(
        gradient is not None,
        expected="a loss made of trace.log_px, log p(x|z) summed over event dimensions",
        found="a loss that does not depend on trace.log_px",
        look=f"score() of {type(objective).__qualname__}",
    )
    what = "d loss / d log p(x|z), summed over K"
    expect_close(gradient.sum(0), -torch.ones(B), what, f"score(): {REDUCTIONS}")


def _repeated_draws(model: VAE, subject: Subject, weights: Weights) -> None:
    """One draw of z that stands there more often is worth what it was: sums over K are means."""
    if type(model).forward is not VAE.forward:
        return
    batch, objective = subject.batch(), model.objective
    with seeded(0, CPU):
        q, p = model.encoder(batch.x, batch.y), model.prior(batch.y)
        z = q.rsample((1,))
    losses = []
    for times in (1, 2):
        draws = z.expand(times * objective.samples, *z.shape[1:])
        px = model.decoder(draws, batch.y)
        trace = Trace(batch.x, px, (Site(q, p, draws),), bound=model.bound)
        losses.append(_seeded_score(objective, trace, weights, 0))
    if not torch.equal(losses[-1], _seeded_score(objective, trace, weights, 1)):
        return  # a score that draws itself, as from the prior
    expect_close(
        losses[1],
        losses[0],
        f"the loss of {2 * objective.samples} draws that are all the same, as of half as many",
        "score(): a mean over K is logsumexp(0) - math.log(len(trace.log_w))",
    )


def _seeded_score(objective: Objective, trace: Trace, weights: Weights, seed: int) -> Tensor:
    with seeded(seed, CPU):
        return objective.score(trace, weights).loss


def log_px(trace: Trace) -> Tensor:
    """log p(x|z) in float64, each event dimension summed here: (K, B)."""
    base, x = base_of(trace.px), trace.x
    if type(base) is Bernoulli:
        logits, x = base.logits.double(), x.double()
        values = x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)
    elif type(base) is Normal:
        base, x = Normal(base.loc.double(), base.scale.double()), x.double()
        values = base.log_prob(x)  # type: ignore[no-untyped-call]
    elif not base.event_shape:
        values = base.log_prob(x).double()
    else:
        return trace.px.log_prob(x).double()
    return values.flatten(2).sum(-1)


def elbo_loss(objective: ELBO, trace: Trace, weights: Weights) -> Tensor:
    """The loss of an ELBO by its definition, in float64: (B,), or () if terms couple the batch."""
    if type(objective).regularizer is ELBO.regularizer and not objective.free_bits:
        kls = [kl.double() for kl in trace.kls]
        regularizer = weights["beta"].double() * torch.stack(kls).sum(0)
    else:
        regularizer = objective.regularizer(trace, weights).double()
    value = -log_px(trace) + regularizer
    for penalty in trace.penalties.values():
        value = value + penalty.double()
    return value.mean(0)


def batch(subject: Subject) -> None:
    """An example's distributions depend on no other example, nor on its place; where the
    objective says ``per_example``, its loss does not either, nor on how many there are."""
    model = subject.model(noise=0.02)
    _places(model, subject)
    if not model.objective.per_example:
        return
    if type(model.objective).loss is Objective.loss:
        _regularizer_alone(subject)
    phases = [phase for phase in model.objective.phases(model) if _of_model(phase, model)]
    with evaluating(model):
        for phase in phases:
            _alone(phase, model, subject, COUPLED)


def _places(model: VAE, subject: Subject) -> None:
    """The same examples in another order, with the means in place of draws: the same figures."""
    batch, order = subject.batch(), torch.tensor([2, 0, 1])
    y = None if batch.y is None else batch.y[order]
    with evaluating(model):
        try:
            first, other = model(batch.x, batch.y, 0), model(batch.x[order], y, 0)
        except (NotImplementedError, RuntimeError, VaezooError):
            return  # q has no mean, or the model draws otherwise than by vaezoo.draw
        pairs = {"log p(x|z)": (first.log_px, other.log_px)}
        for one, two in zip(first.sites, other.sites, strict=True):
            pairs |= {
                f"log q of {one.name}": (one.log_q, two.log_q),
                f"log p of {one.name}": (one.log_p, two.log_p),
            }
    for what, (values, moved) in pairs.items():
        if len(values) != 1:
            return
        expect_close(
            moved,
            values[:, order],
            f"{what} of the examples in another order, as before",
            "forward, encoder, prior and decoder: what belongs to a place in the batch?",
        )


def _regularizer_alone(subject: Subject) -> None:
    """Without log p(x|z), and in float64, so that a small dependence on the others is seen."""
    model = subject.model(noise=0.1).double()
    objective = model.objective.double()
    weights, batch, others = weights_of(objective), subject.batch(), subject.batch(seed=2)
    losses = []
    for x in (batch.x, torch.cat([batch.x[:1], others.x[1:]])):
        with seeded(0, CPU), evaluating(model):
            trace = model(x.double(), batch.y, objective.samples)
            trace.log_px = torch.zeros_like(trace.log_px)
            losses.append(objective.score(trace, weights).loss)
    first, second = losses
    if first.ndim and first.isfinite().all():
        expect(
            torch.allclose(first[0], second[0], rtol=1e-9, atol=1e-9),
            expected="the loss of an example without its log p(x|z), whatever is beside it in the "
            f"batch: {first[0]:.9g}",
            found=f"{second[0]:.9g}",
            look=COUPLED,
        )


def _alone(phase: Phase, model: VAE, subject: Subject, look: str) -> None:
    """The same noise beside other examples; then, on average, among more copies of itself."""
    weights = weights_of(model.objective)
    batch, others = subject.batch(), subject.batch(seed=2)
    x = torch.cat([batch.x[:1], others.x[1:]])
    y = None if batch.y is None else torch.cat([batch.y[:1], batch.y[1:].flip(0)])
    losses = []
    for each in (batch, batch._replace(x=x, y=y)):
        with seeded(0, CPU):
            losses.append(phase.loss(model, each, weights).loss)
        expect_shape(losses[-1], (B,), f"a loss of phase {phase.name!r} per example", look)
    what = "the loss of an example, whatever is beside it in the batch"
    expect_close(losses[1][0], losses[0][0], what, look)

    found = []
    for size in (2, 6):
        rows = torch.zeros(size, dtype=torch.int64)
        copies = batch._replace(
            x=batch.x[rows],
            y=None if batch.y is None else batch.y[rows],
            index=None if batch.index is None else batch.index[rows],
        )
        with seeded(size, CPU):
            runs = [phase.loss(model, copies, weights).loss for _ in range(RUNS)]
        found.append(torch.cat(runs).double())
    small, large = found
    error = (small.var() / len(small) + large.var() / len(large)).sqrt()
    expect(
        (small.mean() - large.mean()).abs() <= 5 * error + 1e-4 * small.mean().abs(),
        expected=f"the same mean loss of an example in batches of 2 and of 6 (+-{error:.3g})",
        found=f"{small.mean():.6g} and {large.mean():.6g}",
        look=look,
    )


def _of_model(phase: Phase, model: VAE) -> bool:
    return not {*phase.parameters}.isdisjoint(model.parameters())
