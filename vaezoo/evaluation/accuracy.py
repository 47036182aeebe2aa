"""The metric ``accuracy``: how often a model's most probable label is the right one."""

from __future__ import annotations

import math
from typing import Any

import torch

from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import Evaluation
from vaezoo.options import NoOptions


def accuracy(options: NoOptions) -> Any:
    """The recipe: the share of the labelled examples that ``VAE.predict`` labels rightly.

    Its standard error is the binomial one, sqrt(a (1 - a) / n). Unlabelled examples are left
    out. Raises DataError for a model that predicts no labels, and for data without any.
    """

    def compute(evaluation: Evaluation) -> dict[str, float]:
        model, seed, hits = evaluation.model, evaluation.seed, []
        if evaluation.source.num_classes is None:
            raise DataError("accuracy needs labelled examples, and these have no labels")
        for x, y, _ in evaluation.batches():
            assert y is not None
            right = model.predict(x, seed=seed) == y
            hits.append(right[y >= 0])
        right = torch.cat(hits).double()
        n = len(right)
        if not n:
            raise DataError("accuracy needs labelled examples, and all of these are unlabelled")
        share = right.mean().item()
        return {
            "accuracy": share,
            "accuracy_standard_error": math.sqrt(share * (1 - share) / n),
            "labelled": n,
        }

    return compute
