"""Heads, which map a network's output to a distribution, and the options of likelihoods."""

from vaezoo.heads.base import Head
from vaezoo.heads.bernoulli import Bernoulli
from vaezoo.heads.gaussian import Gaussian, OptimalSigma, PredictedSigma, SharedSigma

__all__ = [
    "Bernoulli",
    "Gaussian",
    "Head",
    "OptimalSigma",
    "PredictedSigma",
    "SharedSigma",
]
