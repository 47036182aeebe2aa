"""p(z): a normalizing flow of N(0, I) (Durkan et al. 2019; Papamakarios et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.flows import Affine, Autoregressive, Coupling, Flow, Pushed, Transformed
from vaezoo.heads.gaussian import normal
from vaezoo.parts import Prior
from vaezoo.splines import Spline

if TYPE_CHECKING:
    from vaezoo.assembly import Parts


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """Options of the prior ``flow``."""

    kind: Literal["nsf", "maf"] = "nsf"
    """nsf: coupling by rational-quadratic splines (Durkan et al. 2019); density and samples take
    one pass. maf: masked autoregressive, affine (Papamakarios et al. 2017, arXiv:1705.07057); the
    density takes one pass, a sample as many as there are latents."""
    transforms: int = 4
    """How many transformations, one after the other."""
    hidden: int = 128
    """Width of the two hidden layers of each transformation's network."""
    bins: int = 8
    """Pieces of a spline, from -5 to 5, outside of which it is the identity; for nsf."""

    def __post_init__(self) -> None:
        for name in ("transforms", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.bins < 2:
            raise ValueError(f"bins must be 2 or more, not {self.bins}")


class FlowPrior(Prior):
    """u = T(z) ~ N(0, I): log p(z) = log N(T(z); 0, I) + log |det ∂T/∂z|, at first N(0, I).

    flow: T, over the values of z, flat. It maps z to u, so that a density is its fast direction.
    """

    loc: Tensor
    sigma: Tensor

    def __init__(self, event_shape: tuple[int, ...], flow: Flow) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.flow = flow
        self.register_buffer("loc", torch.zeros(prod(event_shape)), persistent=False)
        self.register_buffer("sigma", torch.ones(prod(event_shape)), persistent=False)

    def forward(self, y: Tensor | None = None) -> Distribution:
        base = normal(self.loc, self.sigma, 1)
        return Transformed(base, self._push, self._pull, self.event_shape)

    def _push(self, u: Tensor) -> Pushed:
        z, log_det = self.flow.inverse(u)
        return z.reshape(*z.shape[:-1], *self.event_shape), -log_det

    def _pull(self, z: Tensor) -> Pushed:
        u, log_det = self.flow(z.flatten(-len(self.event_shape)))
        return u, -log_det


def flow(options: FlowOptions, parts: Parts) -> FlowPrior:
    """The recipe of the prior ``flow``."""
    shape = parts.latent_shape
    sizes = {"dim": prod(shape), "transforms": options.transforms, "hidden": options.hidden}
    if options.kind == "maf":
        return FlowPrior(shape, Flow(Autoregressive, Affine(), **sizes))
    return FlowPrior(shape, Flow(Coupling, Spline(options.bins), **sizes))
