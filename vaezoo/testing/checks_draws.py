"""Where a model's random numbers go: each belongs to a site, in a pass and in a sample.

They are counted as torch makes them, so it does not matter how a model writes down its draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode

from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.testing.report import expect
from vaezoo.testing.subject import CPU, B, Subject
from vaezoo.trace import Site, Trace

N = 8  # samples


def draws(subject: Subject) -> None:
    """Of an exact bound, a pass draws no more than its sites hold, and a sample draws all of them
    from their priors."""
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
    _samples(model, trace, subject)


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
