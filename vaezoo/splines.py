"""Monotone rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032), by zuko."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.transforms import _InverseTransform

from vaezoo.flows import Monotone, Pushed


def zuko_transforms() -> ModuleType:
    """``zuko.transforms``, imported so that torch's distributions stay as they were.

    zuko switches the validation of all distributions off, takes their ``arg_constraints`` away,
    and gives a class of torch's another name. (What it adds, a method of Transform, remains.)
    """
    validate, constraints = Distribution._validate_args, Distribution.__dict__["arg_constraints"]
    name = _InverseTransform.__name__
    try:
        import zuko.transforms
    finally:
        Distribution._validate_args = validate
        setattr(Distribution, "arg_constraints", constraints)  # noqa: B010
        _InverseTransform.__name__ = name
    return zuko.transforms  # type: ignore[no-any-return]


class Spline(Monotone):
    """A spline of ``bins`` pieces from -bound to bound onto itself, and the identity outside."""

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        if bins < 2 or bound <= 0:
            raise ValueError(f"bins must be 2 or more and bound positive, not {bins}, {bound}")
        self.bins = bins
        self.bound = bound
        self.size = 3 * bins - 1
        self._make = zuko_transforms().MonotonicRQSTransform

    def _spline(self, parameters: Tensor) -> Any:
        sizes = [self.bins, self.bins, self.bins - 1]  # widths, heights, derivatives
        return self._make(*torch.split(parameters, sizes, -1), bound=self.bound)

    def forward(self, x: Tensor, parameters: Tensor) -> Pushed:
        y, log_slope = self._spline(parameters).call_and_ladj(x)
        return y, log_slope

    def inverse(self, y: Tensor, parameters: Tensor) -> Pushed:
        spline = self._spline(parameters)
        # Durkan et al. 2019, eqs. 6-8. zuko's own inverse has NaN where rounding makes the
        # discriminant negative, and holds a weak reference, which cannot be compiled.
        k = spline.searchsorted(spline.vertical, y) - 1
        within, x0, x1, y0, y1, d0, d1, slope = spline.bin(k)
        rise = within * (y - y0)
        bend = rise * (d0 + d1 - 2 * slope)
        a, b, c = (y1 - y0) * (slope - d0) + bend, (y1 - y0) * d0 - bend, -slope * rise
        root = (b.square() - 4 * a * c).clamp(min=0).sqrt()
        share = (2 * c / (-b - root)).clamp(0, 1)
        x = torch.where(within, x0 + share * (x1 - x0), y)
        return x, spline.log_abs_det_jacobian(x, y)
