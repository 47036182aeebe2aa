"""The metric ``anomaly``: telling examples of classes that the model was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import Evaluation
from vaezoo.evaluation.likelihood import log_likelihoods
from vaezoo.evaluation.representation import labels_of
from vaezoo.words import counted


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Options of the metric ``anomaly``."""

    normal: tuple[int, ...]
    """The classes that the model was trained on; examples of all others are anomalies."""
    samples: int = 1
    """Importance samples of log p(x), the score; with 1 it is the ELBO."""

    def __post_init__(self) -> None:
        if not self.normal:
            raise ValueError("normal must name at least one class")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, not {self.samples}")


def anomaly(options: Anomaly) -> Any:
    """The recipe of the metric ``anomaly``: the area under the ROC curve of two scores.

    It is the probability that an anomaly has a higher score than a normal example: -log p(x), by
    the ELBO or by ``samples`` importance samples, and the squared error of the reconstruction at
    the posterior mean. The first is NaN for a model without a bound. Standard errors are Hanley &
    McNeil's (1982). Unlabelled examples are left out, and counted.

    Nothing is told the labels. Raises DataError without any, without examples of either kind, and
    for a model that cannot do without, as its scores would depend on what is to be found.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model = evaluation.model
        if model.num_classes is not None and not model.semi_supervised:
            raise DataError(
                "this model is given the labels, so its scores would tell what they were told: "
                "look for anomalies with a model that sees x alone, such as vae"
            )
        y = labels_of(evaluation.source, "the examples that are measured")
        known, classes = y >= 0, evaluation.source.num_classes or 0
        if strange := [each for each in options.normal if not 0 <= each < classes]:
            raise DataError(
                f"normal names the class {strange[0]}, but the labels are 0..{classes - 1}"
            )
        normal = torch.isin(y, torch.tensor(options.normal))[known]
        for kind, count in (("normal", normal.sum()), ("anomalous", (~normal).sum())):
            if not count:
                raise DataError(
                    f"with the classes {[*options.normal]} for normal, none of the "
                    f"{counted(int(known.sum()), 'labelled example')} is {kind}: measure a split "
                    f"that holds normal classes and others"
                )
        figures: dict[str, float] = {}
        scores = {
            "likelihood": _surprise(evaluation, options.samples),
            "reconstruction": _squared_errors(evaluation),
        }
        for name, score in scores.items():
            area, error = math.nan, math.nan
            if score is not None:
                area, error = auroc(score[known], ~normal)
            figures[f"anomaly_auroc_{name}"] = area
            figures[f"anomaly_auroc_{name}_standard_error"] = error
        return figures | {
            "anomaly_examples": int((~normal).sum()),
            "anomaly_samples": options.samples,
            "unlabelled": int((~known).sum()),
        }

    return compute


def auroc(score: Tensor, anomalous: Tensor) -> tuple[float, float]:
    """P(score of an anomaly > score of a normal example), ties counted half, with its error.

    score (N,), anomalous (N,) bool. Hanley & McNeil 1982, "The meaning and use of the area under
    a receiver operating characteristic (ROC) curve", eq. 1 and 2.
    """
    from sklearn.metrics import roc_auc_score

    area = float(roc_auc_score(anomalous.numpy(), score.numpy()))
    positives, negatives = int(anomalous.sum()), int((~anomalous).sum())
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (positives - 1) * (both_above - area**2)
        + (negatives - 1) * (both_below - area**2)
    ) / (positives * negatives)
    return area, math.sqrt(max(variance, 0.0))


def _surprise(evaluation: Evaluation, samples: int) -> Tensor | None:
    """-log p(x) of each example: (N,) nats, on the CPU; None where there is no bound."""
    model = evaluation.model
    if model.bound == "none":
        return None
    if samples > 1:
        return -log_likelihoods(evaluation, samples, labels=False).cpu()
    batches = evaluation.batches(labels=False)
    return -torch.cat([model(x).elbo[0].double().cpu() for x, _, _ in batches])


def _squared_errors(evaluation: Evaluation) -> Tensor:
    """Σ_d (x_d - x̂_d)² of each example: (N,), on the CPU."""
    return torch.cat(
        [
            (x - evaluation.model.reconstruct(x)).double().square().flatten(1).sum(1).cpu()
            for x, _, _ in evaluation.batches(labels=False)
        ]
    )
