"""Where a model's random numbers go: each belongs to a site, in a pass and in a sample.

They are counted as torch makes them, so it does not matter how a model writes down its draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode

from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.testing.report import brief, expect
from vaezoo.testing.subject import CPU, B, Subject
from vaezoo.trace import Site, Trace

N = 8  # samples
MANY = 4000  # of codes, whose distribution is looked at


def draws(subject: Subject) -> None:
    """Of an exact bound, a pass draws what its sites hold, no more and no less, and a sample draws
    all of them from their priors."""
    model, batch = subject.model(noise=0.02), subject.batch()
    if model.bound != "exact":
        return
    model.eval()
    with seeded(0, CPU):
        taken, trace = _counted(lambda: model(batch.x, batch.y, 1))
        held = sum(_numbers(site.q, reparameterised=True) for site in trace.sites)
    expect(
        taken <= held * B,
        expected=f"{held:g} random numbers for each example, as many as {_named(trace)} hold",
        found=f"{taken / B:g}: a draw that no site holds, so that no KL pays for it",
        look="forward: each group of latents that the decoder or another group sees is a Site",
    )
    expect(
        taken >= held * B or type(trace) is not Trace,  # else values are enumerated, of one noise
        expected=f"{held:g} random numbers for each example, as many as {_named(trace)} hold",
        found=f"{taken / B:g}: sites that share their noise, so that none is a draw of its own",
        look="forward: one vaezoo.draw for each site",
    )
    _samples(model, trace, subject)
    if len(trace.sites) == 1:
        _distributed(model, subject)
    _follows(model, trace, subject)


def _samples(model: VAE, trace: Trace, subject: Subject) -> None:
    sites = [site for site in trace.sites if _is_used(site, trace)]
    with seeded(0, CPU), evaluating(model):
        needed = sum(_numbers(site.p) for site in sites)
        labels = None if model.semi_supervised else subject.labels(N)
        taken, _ = _counted(lambda: model.sample(N, labels))
    expect(
        taken >= needed * N,
        expected=f"at least {needed:g} random numbers for each sample: a draw of p for each site",
        found=f"{taken / N:g}",
        look=f"{type(model).__qualname__}.generate: is a group fixed, or its mean taken?",
    )


def _follows(model: VAE, trace: Trace, subject: Subject) -> None:
    """What serves the priors alone changes samples: of all of it together, since where draws are
    discrete a little of it need not."""
    labels = None if model.semi_supervised else subject.labels(N)
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    of_priors = _reached(sum_of(site.log_p for site in trace.sites), named)
    of_priors -= _reached(sum_of([trace.log_px, *(s.log_q for s in trace.sites)]), named)
    if not of_priors:
        return
    before = model.sample(N, labels, seed=0)
    with torch.no_grad(), seeded(0, CPU):
        for name in sorted(of_priors):
            named[name].add_(torch.randn_like(named[name]))
    expect(
        not torch.equal(model.sample(N, labels, seed=0), before),
        expected="other samples where the priors' own parameters are others: "
        + ", ".join(sorted(of_priors)),
        found="the same",
        look=f"{type(model).__qualname__}.generate: draws of each p, and not of N(0, I), say",
    )


def _reached(value: Tensor, named: Mapping[str, Tensor]) -> set[str]:
    if not value.requires_grad:
        return set()
    found = torch.autograd.grad(value, [*named.values()], retain_graph=True, allow_unused=True)
    return {name for name, g in zip(named, found, strict=True) if g is not None and g.any()}


def sum_of(values: Iterable[Tensor]) -> Tensor:
    """Of all numbers in the tensors: ()."""
    return sum((value.sum() for value in values), torch.zeros(()))


def _distributed(model: VAE, subject: Subject) -> None:
    """What the decoder is given for a sample has the means and squares of draws from p."""
    if model.semi_supervised:
        return
    labels = subject.labels(MANY)
    given = _decoded(model, labels)
    with seeded(1, CPU), evaluating(model):
        p = model.prior(labels)
        drawn = p.sample(() if p.batch_shape else (MANY,))
    if given is None or given.shape != drawn.shape or not drawn.is_floating_point():
        return
    centre, spread = drawn.mean(0), drawn.std(0).clamp(min=1e-6)
    ours, theirs = ((z.double() - centre) / spread for z in (given, drawn))
    for what, power in (("mean", 1), ("mean square", 2)):
        a, b = ours**power, theirs**power
        error = ((a.var(0) + b.var(0)) / MANY).sqrt()
        expect(
            ((a.mean(0) - b.mean(0)).abs() <= 6 * error + 1e-3).all(),
            expected=f"codes of samples with the {what} of draws from p: {brief(b.mean(0))}",
            found=f"{brief(a.mean(0))}, in units of its standard deviation from its mean",
            look=f"{type(model).__qualname__}.generate",
        )


class _Seen(Exception):
    """The decoder need not run."""


def _decoded(model: VAE, labels: Tensor | None) -> Tensor | None:
    """What the decoder is given for samples, if that is one tensor for all."""
    seen: list[Tensor] = []

    def stop(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen.append(arguments[0])
        raise _Seen

    hook = model.decoder.register_forward_pre_hook(stop)
    try:
        with seeded(0, CPU), evaluating(model):
            model.generate(MANY, labels)
    except _Seen:
        return seen[0]
    finally:
        hook.remove()
    return None


def _is_used(site: Site, trace: Trace) -> bool:
    """Whether x, or another group of latents, is generated from it (an auxiliary one is not)."""
    if not site.z.requires_grad:
        return True
    others = [other.log_p.sum() for other in trace.sites if other is not site]
    for value in (trace.log_px.sum(), *others):
        if value.requires_grad and _gradient(value, site.z) is not None:
            return True
    return False


def _gradient(value: Tensor, z: Tensor) -> Tensor | None:
    return torch.autograd.grad(value, z, retain_graph=True, allow_unused=True)[0]


def _numbers(distribution: Distribution, *, reparameterised: bool = False) -> float:
    """How many random numbers one draw takes."""
    batch = distribution.batch_shape
    shape = () if batch else (N,)
    drawn = distribution.rsample if reparameterised and distribution.has_rsample else None
    taken, _ = _counted(lambda: (drawn or distribution.sample)(torch.Size(shape)))
    return taken / (batch.numel() if batch else N)


def _named(trace: Trace) -> str:
    names = ", ".join(repr(site.name) for site in trace.sites)
    return f"its sites ({names})" if names else "its sites, of which there are none,"


def _counted(call: Callable[[], Any]) -> tuple[int, Any]:
    with _Counter() as counter:  # type: ignore[no-untyped-call]
        result = call()
    return counter.numbers, result


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the random numbers that torch makes."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded in func.tags:
            first = result[0] if isinstance(result, tuple | list) else result
            self.numbers += first.numel()
        return result
