"""Priors p(z|y)."""

from vaezoo.priors.autoregressive import Autoregressive, AutoregressivePrior
from vaezoo.priors.class_normal import ClassNormal
from vaezoo.priors.codes import CodePrior, UniformCodes
from vaezoo.priors.mixture import Mixture, MixturePrior, NormalMixture
from vaezoo.priors.standard_normal import StandardNormal
from vaezoo.priors.vampprior import PosteriorMixture, VampOptions, VampPrior

__all__ = [
    "Autoregressive",
    "AutoregressivePrior",
    "ClassNormal",
    "CodePrior",
    "Mixture",
    "MixturePrior",
    "NormalMixture",
    "PosteriorMixture",
    "StandardNormal",
    "UniformCodes",
    "VampOptions",
    "VampPrior",
]
