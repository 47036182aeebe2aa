"""The metrics of likelihood: with sampled z, every example alike, all constants included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import BATCH, Evaluation
from vaezoo.options import NoOptions

LAST_STEP = 2**31
"""At which all schedules have come to their end."""


def elbo(options: NoOptions) -> Any:
    """The recipe of the metric ``elbo``: one sampled z for each example, never beta."""

    def compute(evaluation: Evaluation) -> dict[str, float]:
        evaluation.model.require_bound("elbo")
        means, error = mean_and_error(evaluation.elbos)
        names = ("elbo", "reconstruction", "kl")
        return {**dict(zip(names, means, strict=True)), "elbo_standard_error": error[0]}

    return compute


def training_bound(options: NoOptions) -> Any:
    """The recipe of the metric ``training-bound``: the bound on log p(x) that the model's
    objective raises, under its own name, as ``iwae``, with as many draws as in training.

    Raises DataError where that is the ELBO, or where a model does not say each example's.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model, objective = evaluation.model, evaluation.model.objective
        name = objective.maximises
        model.require_bound("training_bound")
        if name == "elbo":
            raise DataError("training raises the ELBO of this model: ask for the metric 'elbo'")
        weights = objective.weights(torch.tensor(LAST_STEP, device=model.device))
        size = max(1, BATCH // objective.samples)
        traces = (model(x, y, objective.samples) for x, y, _ in evaluation.batches(size=size))
        rows = [objective.score(trace, weights).logs[name].double() for trace in traces]
        if rows[0].ndim != 1:
            raise DataError(f"{name!r} of this model is not told of each example")
        means, error = mean_and_error(torch.cat(rows).unsqueeze(0))
        return {name: means[0], f"{name}_standard_error": error[0]}

    return compute


def reconstruction(options: NoOptions) -> Any:
    """The recipe of the metric ``reconstruction``: log p(x|z) with one sampled z, of any model."""

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model = evaluation.model
        rows = [model(batch.x, batch.y).log_px[0].double() for batch in evaluation.batches()]
        means, error = mean_and_error(torch.cat(rows).unsqueeze(0))
        return {"reconstruction": means[0], "reconstruction_standard_error": error[0]}

    return compute


def bits_per_dim(options: NoOptions) -> Any:
    """The recipe of the metric ``bits-per-dim``: -ELBO / (D ln 2), for discrete data alone.

    The expected length, in bits for each of D numbers, of a code for the examples.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        evaluation.model.require_bound("bits_per_dim", exact=True)
        if why_not := evaluation.why_no_bits:
            raise DataError(
                f"bits/dim are defined for discrete data under a discrete likelihood, "
                f"and {why_not}"
            )
        found = elbo(options)(evaluation)
        nats = math.prod(evaluation.source.shape) * math.log(2)  # of one bit for each number
        return {
            "bits_per_dim": -found["elbo"] / nats,
            "bits_per_dim_standard_error": found["elbo_standard_error"] / nats,
        }

    return compute


@dataclass(frozen=True, kw_only=True)
class LogLikelihood:
    """Options of the metric ``log-likelihood``."""

    samples: int = 5000
    """Importance samples for each example."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, not {self.samples}")


def log_likelihood(options: LogLikelihood) -> Any:
    """The recipe of the metric ``log-likelihood``: Burda et al. 2016, eq. 8.

    Raises DataError where p(x|z) is neither a probability nor a density of the data.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        evaluation.model.require_bound("log_likelihood", exact=True)
        if why_not := evaluation.why_not_normalised:
            raise DataError(f"log p(x) needs a normalised p(x|z), and {why_not}")
        nats = log_likelihoods(evaluation, options.samples)
        means, error = mean_and_error(nats.unsqueeze(0))
        return {
            "log_likelihood": means[0],
            "log_likelihood_standard_error": error[0],
            "samples": options.samples,
        }

    return compute


def log_likelihoods(evaluation: Evaluation, samples: int, *, labels: bool = True) -> Tensor:
    """log p(x) of each example, importance-weighted: (N,) float64, nats.

    As ``VAE.log_likelihood`` has it of all examples at once, under the evaluation's seed. labels:
    whether the model is told those that there are.
    """
    rows: list[Tensor] = []
    for x, y, _ in evaluation.batches(labels=labels):
        first = sum(map(len, rows))
        rows.append(evaluation.model.log_likelihood(x, y, samples, evaluation.seed, first=first))
    return torch.cat(rows).double()


def mean_and_error(values: Tensor) -> tuple[list[float], list[float]]:
    """Over the examples, the last dimension: means, and their standard errors."""
    n = values.shape[-1]
    error = values.std(-1) / math.sqrt(n) if n > 1 else torch.full(values.shape[:-1], math.nan)
    return values.mean(-1).tolist(), error.tolist()
