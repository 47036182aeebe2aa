"""Priors p(z|y)."""

from vaezoo.priors.class_normal import ClassNormal
from vaezoo.priors.mixture import Mixture, MixturePrior, NormalMixture
from vaezoo.priors.standard_normal import StandardNormal
from vaezoo.priors.vampprior import PosteriorMixture, VampOptions, VampPrior

__all__ = [
    "ClassNormal",
    "Mixture",
    "MixturePrior",
    "NormalMixture",
    "PosteriorMixture",
    "StandardNormal",
    "VampOptions",
    "VampPrior",
]
