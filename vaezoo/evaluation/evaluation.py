"""Measuring a model: reported figures use sampled z, a fixed split, and its binarization."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaezoo.assembly import choose
from vaezoo.batch import Batch
from vaezoo.checks import check_preprocessing, check_source
from vaezoo.data import Binarization, Data, Source, data_for, evaluation_batches
from vaezoo.data.preprocessing import TablePreprocessing
from vaezoo.errors import DataError
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.options import NoOptions
from vaezoo.registry.specs import MetricSpec

BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a metric is given: a model, and the examples to measure it on."""

    model: VAE
    source: Source
    binarization: Binarization
    seed: int

    def batches(self) -> Iterator[Batch]:
        """All examples in their order, in batches, the last one partial."""
        kind = self.binarization
        for batch in evaluation_batches(self.source, batch_size=BATCH, binarization=kind):
            yield Batch(batch.x.to(self.model.dtype), batch.y, batch.index)

    @cached_property
    def why_no_bits(self) -> str:
        """Why bits/dim are not defined here, or "" where they are.

        -log2 of a probability is a code's length; of a density it depends on the unit of x.
        """
        head = getattr(self.model.decoder, "head", None)
        if head is None:
            return "nothing tells whether this decoder's p(x|z) is a probability: it has no head"
        if not head.discrete:
            return (
                "this p(x|z) is a density: use likelihood='discretized-logistic' or 'categorical' "
                "for grey levels, 'bernoulli' for binary data, 'negative-binomial' for counts"
            )
        for batch in self.batches() if self.binarization == "none" else ():
            if not head.supports(batch.x):
                return (
                    "this p(x|z) gives no probability to grey values: binarize the data, as in "
                    "binarization='dynamic', or use likelihood='discretized-logistic'"
                )
            if self.source.rendered:
                break  # the others are alike
        return ""


def evaluate(
    model: VAE,
    data: Any,
    metrics: Sequence[Any] | str | None = None,
    *,
    split: str | None = None,
    binarization: Binarization = "none",
    seed: int = 0,
    data_root: str | Path | None = None,
) -> dict[str, Any]:
    """Figures of a model on data, JSON-ready, with what they were measured on.

    data: as for ``fit``; a file or folder is read as the model's own were (``data.read_for``),
    and taken whole. metrics: names, or names with options; default: ELBO with its two terms, and
    bits/dim where they are defined; of what is no bound, reconstruction; of what learns from few
    labels, accuracy too. split: of named data,
    default test; other data are taken whole. Likelihoods are in nats, per example; those of a
    model of standardized columns are of the standardized values, and with ``log_det`` added of
    the values in the file's units.

    Raises DataError, NoBoundError, UnknownComponentError.
    """
    if isinstance(metrics, str):
        metrics = [metrics]
    root = None if data_root is None else Path(data_root)
    splits = data_for(model, data, root)
    check_preprocessing(model, splits)
    chosen = split or ("test" if splits.test is not None else "train")
    source = splits.split(chosen)
    if splits.stream is not None and not isinstance(data, Data):  # whose train split is at hand
        raise DataError(
            f"a stream ({splits.name}) cannot be measured: it may have no end; read as many of "
            f"its examples as are wanted into a tensor"
        )
    check_source(model, source, f"the examples of {splits.title!r}")
    evaluation = Evaluation(
        model=model, source=source.to(model.device), binarization=binarization, seed=seed
    )
    if metrics is None:
        bound = model.bound != "none"
        metrics = ["elbo"] if bound else ["reconstruction"]
        metrics += ["bits-per-dim"] if bound and not evaluation.why_no_bits else []
        metrics += ["accuracy"] if model.semi_supervised and source.num_classes else []
    result: dict[str, Any] = {
        "data": splits.title,
        "split": split or (chosen if len(splits.splits()) > 1 else "all"),
        "examples": len(source),
        "binarization": binarization,
        "seed": seed,
    }
    for metric in metrics:
        compute = choose(MetricSpec, metric)()
        with evaluating(model), seeded(seed, model.device):
            result |= compute(evaluation)
    if isinstance(model.preprocessing, TablePreprocessing):
        result["log_det"] = model.preprocessing.log_det
    return result


def elbo(options: NoOptions) -> Any:
    """The recipe of the metric ``elbo``: one sampled z for each example, never beta."""

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model = evaluation.model
        model.require_bound("elbo")
        rows = []
        for batch in evaluation.batches():
            trace = model(batch.x, batch.y)
            rows.append(torch.stack([trace.elbo[0], trace.log_px[0], trace.kl[0]]).double())
        means, error = _mean_and_error(torch.cat(rows, dim=1))
        names = ("elbo", "reconstruction", "kl")
        return {**dict(zip(names, means, strict=True)), "elbo_standard_error": error[0]}

    return compute


def reconstruction(options: NoOptions) -> Any:
    """The recipe of the metric ``reconstruction``: log p(x|z) with one sampled z, of any model."""

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model = evaluation.model
        rows = [model(batch.x, batch.y).log_px[0].double() for batch in evaluation.batches()]
        means, error = _mean_and_error(torch.cat(rows).unsqueeze(0))
        return {"reconstruction": means[0], "reconstruction_standard_error": error[0]}

    return compute


def bits_per_dim(options: NoOptions) -> Any:
    """The recipe of the metric ``bits-per-dim``: -ELBO / (D ln 2), for discrete data alone.

    The expected length, in bits for each of D numbers, of a code for the examples.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        if why_not := evaluation.why_no_bits:
            raise DataError(
                f"bits/dim are defined for discrete data under a discrete likelihood, "
                f"and {why_not}"
            )
        nats = elbo(options)(evaluation)["elbo"]
        return {"bits_per_dim": -nats / (math.prod(evaluation.source.shape) * math.log(2))}

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
    """The recipe of the metric ``log-likelihood``: Burda et al. 2016, eq. 8."""

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model = evaluation.model
        rows = [
            model.log_likelihood(batch.x, batch.y, samples=options.samples).double()
            for batch in evaluation.batches()
        ]
        means, error = _mean_and_error(torch.cat(rows).unsqueeze(0))
        return {
            "log_likelihood": means[0],
            "log_likelihood_standard_error": error[0],
            "samples": options.samples,
        }

    return compute


def _mean_and_error(values: Tensor) -> tuple[list[float], list[float]]:
    """Over the examples, the last dimension: means, and their standard errors."""
    n = values.shape[-1]
    error = values.std(-1) / math.sqrt(n) if n > 1 else torch.full(values.shape[:-1], math.nan)
    return values.mean(-1).tolist(), error.tolist()
