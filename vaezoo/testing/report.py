"""What the kit reports: what passed, and of each failure what an author needs to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import Tensor

from vaezoo.errors import VaezooError


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One check that failed."""

    check: str
    """Its name."""
    rule: str
    """What every variant must do."""
    expected: str
    found: str
    look: str
    """Where the cause is likely to be."""

    def __str__(self) -> str:
        return self.told()

    def told(self, also: Sequence[str] = ()) -> str:
        """In lines. also: other checks that failed in the same way."""
        lines = {"expected": self.expected, "found": self.found, "look at": self.look}
        lines |= {"also in": ", ".join(also)} if also else {}
        body = (f"  {k:<9} {v}".replace("\n", "\n" + " " * 12) for k, v in lines.items())
        return "\n".join([f"{self.check}: {self.rule}", *body])


@dataclass(frozen=True, kw_only=True)
class Report:
    """What ``check_variant`` returns."""

    passed: list[str] = field(default_factory=list)
    """The checks that passed, in order."""
    excepted: dict[str, str] = field(default_factory=dict)
    """The checks that failed as expected, each with its reason."""


class ConformanceError(VaezooError, AssertionError):
    """A variant breaks rules of the kit; the message lists every failed check."""

    def __init__(self, variant: str, failures: Sequence[Failure]) -> None:
        super().__init__(variant, failures)
        self.variant = variant
        self.failures = tuple(failures)

    def __str__(self) -> str:
        checks = "1 check" if len(self.failures) == 1 else f"{len(self.failures)} checks"
        alike: dict[tuple[str, str, str], list[Failure]] = {}
        for each in self.failures:
            alike.setdefault((each.expected, each.found, each.look), []).append(each)
        told = [first.told([other.check for other in others]) for first, *others in alike.values()]
        return "\n\n".join([f"{self.variant!r} fails {checks}", *told])


class Mismatch(Exception):
    """Internal: what a check found, before it is known whose check of which variant it was."""

    def __init__(self, *, expected: str, found: str, look: str) -> None:
        super().__init__(expected, found, look)
        self.expected = expected
        self.found = found
        self.look = look


def fail(*, expected: str, found: str, look: str) -> NoReturn:
    """Fail the running check."""
    raise Mismatch(expected=expected, found=found, look=look)


def expect(condition: object, *, expected: str, found: str, look: str) -> None:
    """Fail the running check unless the condition holds."""
    if not condition:
        fail(expected=expected, found=found, look=look)


def expect_shape(tensor: Tensor, shape: tuple[int, ...], what: str, look: str) -> None:
    """Fail unless ``tensor`` has this shape and finite values."""
    expect(
        isinstance(tensor, Tensor) and tuple(tensor.shape) == shape,
        expected=f"{what} of shape {shape}",
        found=f"shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else repr(tensor),
        look=look,
    )
    expect(
        tensor.isfinite().all(),
        expected=f"{what} with finite values",
        found=f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} values are not",
        look=look,
    )


def expect_equal(found: Tensor, expected: Tensor, what: str, look: str) -> None:
    """Fail unless both tensors are the same bit for bit."""
    expect(
        found.shape == expected.shape and torch.equal(found, expected),
        expected=f"{what}, bit for bit",
        found=f"{brief(found)} instead of {brief(expected)}",
        look=look,
    )


def expect_close(found: Tensor, expected: Tensor, what: str, look: str) -> None:
    """Fail unless both tensors agree within float32 rounding of a sum (1e-4)."""
    found, expected = found.detach().double(), expected.detach().double()
    expect(
        found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4),
        expected=f"{what}: {brief(expected)}",
        found=brief(found),
        look=look,
    )


def expect_mean(draws: Tensor, mean: float, errors: float, what: str, look: str) -> None:
    """Fail unless the mean over dimension 0 lies within so many standard errors of ``mean``."""
    draws = draws.detach().double()
    error = draws.std(0) / len(draws) ** 0.5
    off = (draws.mean(0) - mean).abs() - errors * error
    expect(
        (off <= 1e-4).all(),
        expected=f"{what}, within {errors:g} standard errors ({brief(error)}) of {mean:g}",
        found=brief(draws.mean(0)),
        look=look,
    )


def brief(tensor: Tensor) -> str:
    """The first values of a tensor, for a message."""
    values = [f"{v:.6g}" for v in tensor.detach().flatten()[:6].tolist()]
    more = f", ... ({tuple(tensor.shape)})" if tensor.numel() > 6 else ""
    return f"[{', '.join(values)}{more}]" if tensor.ndim else values[0]
