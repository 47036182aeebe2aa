"""Heads, which map a network's output to a distribution, and the options of likelihoods."""

from vaezoo.heads.base import Head
from vaezoo.heads.bernoulli import Bernoulli
from vaezoo.heads.categorical import Categorical, CategoricalDistribution, CategoricalHead
from vaezoo.heads.continuous_bernoulli import (
    ContinuousBernoulliDistribution,
    ContinuousBernoulliHead,
)
from vaezoo.heads.discretized_logistic import (
    DiscretizedLogistic,
    DiscretizedLogisticDistribution,
    DiscretizedLogisticHead,
)
from vaezoo.heads.discretized_logistic_mixture import (
    DiscretizedLogisticMixture,
    DiscretizedLogisticMixtureDistribution,
    DiscretizedLogisticMixtureHead,
)
from vaezoo.heads.flow import FlowHead
from vaezoo.heads.gaussian import Gaussian, OptimalSigma, PredictedSigma, SharedSigma
from vaezoo.heads.laplace import Laplace, LaplaceHead
from vaezoo.heads.negative_binomial import (
    NegativeBinomial,
    NegativeBinomialDistribution,
    NegativeBinomialHead,
)
from vaezoo.heads.point_mass import PointMass, PointMassHead
from vaezoo.heads.zero_inflated_negative_binomial import (
    ZeroInflatedNegativeBinomial,
    ZeroInflatedNegativeBinomialDistribution,
    ZeroInflatedNegativeBinomialHead,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "CategoricalDistribution",
    "CategoricalHead",
    "ContinuousBernoulliDistribution",
    "ContinuousBernoulliHead",
    "DiscretizedLogistic",
    "DiscretizedLogisticDistribution",
    "DiscretizedLogisticHead",
    "DiscretizedLogisticMixture",
    "DiscretizedLogisticMixtureDistribution",
    "DiscretizedLogisticMixtureHead",
    "FlowHead",
    "Gaussian",
    "Head",
    "Laplace",
    "LaplaceHead",
    "NegativeBinomial",
    "NegativeBinomialDistribution",
    "NegativeBinomialHead",
    "OptimalSigma",
    "PointMass",
    "PointMassHead",
    "PredictedSigma",
    "SharedSigma",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedNegativeBinomialDistribution",
    "ZeroInflatedNegativeBinomialHead",
]
