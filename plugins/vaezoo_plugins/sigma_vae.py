"""The sigma-VAE (Rybkin, Daniilidis & Levine 2021, arXiv:2006.13202).

The VAE under p(x|z) = N(mu(z), sigma^2 I) with one sigma for all values, which is learned rather
than set: by gradient, or in closed form, sigma*^2 = mean (x - mu(z))^2. Up to a constant and a
factor the loss then is that of a beta-VAE with unit sigma whose beta is sigma^2, found on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

import vaezoo
from vaezoo.heads import OptimalSigma, SharedSigma


@dataclass(frozen=True, kw_only=True)
class Options:
    sigma: Literal["optimal", "learned"] = "optimal"
    """optimal: the maximum-likelihood sigma of each training batch, of which a running mean serves
    afterwards; the paper found it best. learned: a parameter, by gradient."""


def sigma_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    decoder = parts.decoder(likelihood={"name": "gaussian", "sigma": options.sigma})
    if not _calibrated(decoder, options.sigma):
        raise vaezoo.OptionError(
            f"sigma-vae calibrates the sigma of a Gaussian likelihood (sigma={options.sigma!r}), "
            f"which the chosen likelihood or decoder does not have: leave these out, since its "
            f"own option sigma ('optimal' or 'learned') decides, or create 'vae', which takes any"
        )
    return vaezoo.VAE(parts.encoder(), decoder, parts.prior(), objective=vaezoo.ELBO())


def _calibrated(decoder: nn.Module, sigma: str) -> bool:
    """Whether it ends in the likelihood that was asked for: the caller may have chosen another."""
    head = getattr(decoder, "head", None)
    if sigma == "optimal":
        return isinstance(head, OptimalSigma)
    return isinstance(head, SharedSigma) and isinstance(head.log_sigma, nn.Parameter)
