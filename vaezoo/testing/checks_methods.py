"""What users do with a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, ContinuousBernoulli, Distribution

from vaezoo.errors import NoBoundError, VaezooError
from vaezoo.model import VAE
from vaezoo.testing.report import expect, expect_equal, expect_shape, fail
from vaezoo.testing.subject import B, Subject, base_of

DISTRIBUTIONS = ("encode", "decode")
REFUSED = {"exact": (), "relaxed": ("log_likelihood",), "none": ("elbo", "log_likelihood")}
"""What a model has no figures of, by its bound."""
ONE_SITE = ("encode", "decode", "interpolate", "traverse")


def methods(subject: Subject) -> None:
    """The model's methods give finite values of the promised shapes, carry no gradient, and leave
    each module's training mode and the arguments as they were."""
    model, batch = subject.model(noise=0.02), subject.batch()
    model.train()
    model.decoder.eval()  # a mixture, which must come back
    modes = {name: module.training for name, module in model.named_modules()}
    copy = batch.x.clone()
    sites = len(model(batch.x, batch.y).sites)
    for name, (call, shape) in _calls(subject, model, batch.x, batch.y).items():
        look = f"{type(model).__qualname__}.{name}, or what it calls"
        try:
            result = call()
        except NoBoundError:
            if name in REFUSED[model.bound]:
                continue
            raise
        except VaezooError:
            if name in ONE_SITE and sites > 1:
                continue
            raise
        if name in REFUSED[model.bound]:
            fail(expected="a NoBoundError: this is no bound", found=f"{result}", look=look)
        if name in DISTRIBUTIONS:
            with torch.no_grad():  # a distribution may hold parameters, as flows do
                result = _mean(result, name, look)
        if shape is not None:
            expect_shape(result, shape, f"{name}()", look)
        expect(
            not result.requires_grad,
            expected=f"{name}() without gradient",
            found="requires_grad",
            look=look,
        )
        now = {name: module.training for name, module in model.named_modules()}
        changed = [name for name, mode in modes.items() if now.get(name) != mode]
        expect(
            not changed,
            expected=f"every module in the mode it was in before {name}()",
            found=f"another mode of {', '.join(changed)}",
            look=look,
        )
        expect_equal(batch.x, copy, f"x as it was before {name}()", look)


def _calls(
    subject: Subject, model: VAE, x: Tensor, y: Tensor | None
) -> dict[str, tuple[Callable[[], Any], tuple[int, ...] | None]]:
    shape, latents = subject.input_shape, model.latent_shape
    dims = [*range(min(2, model.latent_dim))]
    one = None if y is None else y[:1]
    calls: dict[str, tuple[Callable[[], Any], tuple[int, ...] | None]] = {
        "encode": (lambda: model.encode(x, y), None),
        "decode": (lambda: model.decode(torch.zeros(4, B, *latents), y), (4, B, *shape)),
        "embed": (lambda: model.embed(x, y), None),
        "reconstruct": (lambda: model.reconstruct(x, y), (B, *shape)),
        "sample": (lambda: model.sample(7, subject.labels(7)), (7, *shape)),
        "interpolate": (lambda: model.interpolate(x, x.flip(0), 4, y), (B, 4, *shape)),
        "traverse": (lambda: model.traverse(x[:1], dims, steps=6, y=one), (len(dims), 6, *shape)),
        "elbo": (lambda: model.elbo(x, y), (B,)),
        "log_likelihood": (lambda: model.log_likelihood(x, y, samples=11), (B,)),
    }
    return calls


def _mean(result: object, name: str, look: str) -> Tensor:
    expect(
        isinstance(result, Distribution),
        expected=f"{name}() returns a torch Distribution",
        found=type(result).__name__,
        look=look,
    )
    assert isinstance(result, Distribution)
    try:
        return result.mean
    except NotImplementedError:
        return result.sample()


def embedding(subject: Subject) -> None:
    """embed() gives one vector for each example, always the same, and another for another."""
    model, batch = subject.model(noise=0.05), subject.batch()
    look = f"{type(model).__qualname__}.embed: the mean of q(z|x), not a sample"
    codes = model.embed(batch.x, batch.y)
    expect_shape(codes, (B, codes.numel() // B), "embed(), one vector for each example,", look)
    expect_equal(model.embed(batch.x, batch.y), codes, "the same codes a second time", look)
    _differ(codes, "codes", look)


def samples(subject: Subject) -> None:
    """Samples are finite, differ from each other, are in [0, 1] under a Bernoulli, and depend on
    the label of a variant that takes labels, as its figures do."""
    model, n = subject.model(noise=0.05), 9
    look = f"{type(model).__qualname__}.sample, the prior and the decoder"
    images = model.sample(n, subject.labels(n), seed=0)
    expect_shape(images, (n, *subject.input_shape), f"sample({n})", look)
    x, y, _ = subject.batch()
    if isinstance(base_of(model(x, y).px), Bernoulli | ContinuousBernoulli):
        low, high = images.min().item(), images.max().item()
        expect(
            0 <= low <= high <= 1,
            expected="samples within [0, 1]",
            found=f"[{low:g}, {high:g}]",
            look=look,
        )
    _differ(images.flatten(1), "samples", look)
    if y is not None and subject.num_classes:
        one, other = torch.zeros_like(y), torch.full_like(y, subject.num_classes - 1)
        figures = {"sample": [model.sample(len(y), label, seed=0) for label in (one, other)]}
        if model.bound != "none":
            figures["elbo"] = [model.elbo(x, label, seed=0) for label in (one, other)]
        for name, (first, second) in figures.items():
            expect(
                not torch.equal(first, second),
                expected=f"another {name}() for another label: the variant asks for num_classes",
                found="the same, bit for bit",
                look="forward and generate: is y handed on to encoder, decoder and prior?",
            )


def _differ(rows: Tensor, what: str, look: str) -> None:
    n = len(rows)
    different = len(torch.unique(rows, dim=0))
    expect(
        different == n,
        expected=f"{n} {what} that differ",
        found=f"{different} different ones",
        look=look,
    )
