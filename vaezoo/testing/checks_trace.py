"""What one pass through a model gives.

B batch, K importance samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaezoo.inference import seeded
from vaezoo.model import VAE
from vaezoo.objectives import Phase
from vaezoo.testing.report import brief, expect, expect_equal, expect_shape, fail
from vaezoo.testing.subject import CPU, K, Subject, weights_of
from vaezoo.trace import Site, Trace, draw
from vaezoo.training.gradient import score_function

FORWARD = "the model's forward, which makes the Trace"


def trace(subject: Subject) -> None:
    """A Trace has the shapes (K, B) and (K, B, *event), in this order, and finite values, for
    images and, unless the variant refuses them with an OptionError, for vectors."""
    for kind in (subject, subject.vectors()):
        if kind is not None:
            _trace(kind)


def _trace(subject: Subject) -> None:
    model, batch = subject.model(noise=0.02), subject.batch()
    leading = (K, len(batch.x))
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, K)
    expect(
        isinstance(trace, Trace),
        expected="model(x, y, samples) returns a vaezoo.Trace",
        found=type(trace).__name__,
        look=FORWARD,
    )
    expect_equal(trace.x, batch.x, "trace.x, the examples that were passed in", FORWARD)
    names = [site.name for site in trace.sites]
    expect(
        len({*names}) == len(names),
        expected="sites with names of their own",
        found=", ".join(names),
        look=FORWARD,
    )
    for site in trace.sites:
        _site(site, leading)
    look = "the decoder and its head"
    events = trace.px.event_shape
    expect(
        tuple(events) == subject.input_shape,
        expected=f"px with event shape {subject.input_shape}: one density for a whole example",
        found=f"event shape {tuple(events)}, batch shape {tuple(trace.px.batch_shape)}",
        look=look,
    )
    expect_shape(trace.px.mean, (*leading, *subject.input_shape), "px.mean", look)
    expect_shape(trace.log_px, leading, "log_px", look)
    expect_shape(trace.kl, leading, "kl", FORWARD)
    if trace.bound != "none":
        expect_shape(trace.log_w, leading, "log_w", FORWARD)
    for name, penalty in trace.penalties.items():
        expect_shape(penalty, leading[1:], f"the penalty {name!r}", FORWARD)
    expect(
        trace.bound == model.bound,
        expected=f"a Trace with the model's own bound, {model.bound!r}",
        found=repr(trace.bound),
        look=f"{FORWARD}: Trace(..., bound=self.bound)",
    )
    state = {**model.observe(trace), **trace.state}
    attached = [name for name, value in state.items() if value.requires_grad]
    expect(
        not attached,
        expected="state that is detached",
        found=f"gradient through {', '.join(attached)}",
        look=FORWARD,
    )


def _site(site: Site, leading: tuple[int, int]) -> None:
    look = f"{FORWARD}: the site {site.name!r}"
    event = tuple(site.q.event_shape)
    k, b = leading
    if tuple(site.z.shape) == (b, k, *event):
        fail(
            expected=f"z of shape (K, B, *event) = {(k, b, *event)}",
            found=f"{tuple(site.z.shape)}: the axes K and B are swapped",
            look=look,
        )
    expect_shape(site.z, (*leading, *event), "z, which is (K, B, *event),", look)
    expect_shape(site.code, (*leading, *site.p.event_shape), "what the prior scores", look)
    expect_shape(site.kl, leading, "kl", look)


def arguments(subject: Subject) -> None:
    """No pass through the model and no phase changes its arguments."""
    model, batch = subject.model(), subject.batch()
    copy = [None if value is None else value.clone() for value in batch]

    def unchanged(what: str) -> None:
        for name, now, before in zip(batch._fields, batch, copy, strict=True):
            if now is not None and before is not None:
                look = f"in-place operations (x.mul_, x[...] = ) in {what}"
                expect_equal(now, before, f"{name} as it was before {what}", look)

    model(batch.x, batch.y, K)
    unchanged("the model's forward")
    for phase in model.objective.phases(model):
        phase.loss(model, batch, weights_of(model.objective))
        unchanged(f"the loss of phase {phase.name!r}")


def gradients(subject: Subject) -> None:
    """The loss is finite, and every parameter gets a finite gradient from a phase that updates
    it."""
    model = subject.model(noise=0.02)
    objective = model.objective
    owners = {"model": model, "objective": objective}
    names = {
        parameter: f"{owner}.{name}"
        for owner, module in owners.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    _through_latents(model, subject)
    reached, owned = set[Tensor](), set[Tensor]()
    for phase in objective.phases(model):
        owned |= {*phase.parameters}
        for parameter in names:
            parameter.grad = None
        loss = _loss(phase, subject, model)
        torch.autograd.backward(loss, inputs=[*phase.parameters])
        for parameter in phase.parameters:
            if parameter.grad is not None:
                _finite(names.get(parameter, "a parameter"), parameter.grad, phase)
                reached.add(parameter)
    orphans = [name for parameter, name in names.items() if parameter not in owned]
    expect(
        not orphans,
        expected="every parameter in a phase; one that is not trained has requires_grad=False",
        found=f"in none: {', '.join(orphans)}",
        look="the objective's phases",
    )
    idle = [name for parameter, name in names.items() if parameter not in reached]
    expect(
        not idle,
        expected="a gradient for every parameter",
        found=f"none reaches {', '.join(idle)}",
        look="forward (is it used?), or a detach on the way to the loss",
    )


def _through_latents(model: VAE, subject: Subject) -> None:
    """log p(x|z) teaches the encoder through z, where q can be reparameterised."""
    batch = subject.batch()
    with seeded(0, CPU):
        trace = model(batch.x, batch.y, K)
        drawn = [s.q.has_rsample and draw(s.q, 1).requires_grad for s in trace.sites]
    sites = [site for site, learns in zip(trace.sites, drawn, strict=True) if learns]
    for site in sites:
        expect(
            site.z.requires_grad,
            expected=f"a gradient from z of site {site.name!r} to the parameters of its q",
            found="none: z carries no gradient",
            look=f"{FORWARD}: q.sample() for q.rsample() (vaezoo.draw takes that), or a detach",
        )
    found = [
        torch.autograd.grad(trace.log_px.sum(), site.z, retain_graph=True, allow_unused=True)[0]
        for site in sites
        if trace.log_px.requires_grad
    ]
    expect(
        not sites or any(gradient is not None for gradient in found),
        expected="a gradient from log p(x|z) to z",
        found="none: the decoder was given something else, or z without its gradient",
        look=f"{FORWARD}: self.decoder(z, y) of the z that the Site holds, not detached",
    )


def _loss(phase: Phase, subject: Subject, model: VAE) -> Tensor:
    with seeded(0, CPU):
        loss = score_function(phase)(model, subject.batch(), weights_of(model.objective))[0]
    look = f"the loss of phase {phase.name!r}"
    expect_shape(loss, (), "the loss", look)
    expect(
        loss.requires_grad,
        expected="a loss with a gradient",
        found=f"{brief(loss)} without",
        look=look,
    )
    return loss


def _finite(name: str, gradient: Tensor, phase: Phase) -> None:
    expect(
        gradient.isfinite().all(),
        expected=f"a finite gradient for {name}",
        found=f"{int((~gradient.isfinite()).sum())} of {gradient.numel()} values are not",
        look=f"the loss of phase {phase.name!r}; log, sqrt or division at 0?",
    )
