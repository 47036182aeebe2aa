"""The metrics of classification: what simple classifiers make of the posterior means.

They are trained on codes of the train split and measured on the split that is evaluated; nothing
is chosen by the latter. Beside each figure stands its floor, ``..._raw``: the same classifier on
the examples themselves.

Shapes: N labelled examples, D numbers of a code or of an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaezoo.data import Source, Subset, shuffled_indices
from vaezoo.data.hashing import mix_integers
from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Options of both metrics."""

    labels: int | None = None
    """Labelled training examples, as many of each class. Default: all that there are."""
    draws: int = 5
    """Of these few, over which the mean and its standard error are taken."""
    floor: bool = True
    """Measure the same classifier on the examples themselves, too."""

    def __post_init__(self) -> None:
        if self.labels is not None and self.labels < 1:
            raise ValueError(f"labels must be at least 1, not {self.labels}")
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, not {self.draws}")


@dataclass(frozen=True, kw_only=True)
class LinearProbe(Classification):
    """Options of the metric ``linear-probe``."""

    c: float = 1.0
    """scikit-learn's C: the inverse weight of ½|w|² against the summed loss."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.c <= 0:
            raise ValueError(f"c must be positive, not {self.c}")


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(Classification):
    """Options of the metric ``knn``."""

    k: int = 5
    """How many neighbours vote."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}")


class Examples(NamedTuple):
    """Numbers and labels: x (N, D), y (N,), on the CPU."""

    x: Tensor
    y: Tensor


Classifier = Callable[[Examples, Tensor], Tensor]
"""From training examples and others' x (N, D) to the labels (N,) that these are given."""


def linear_probe(options: LinearProbe) -> Any:
    """The recipe of the metric ``linear-probe``: logistic regression (scikit-learn, L-BFGS).

    Codes are standardized by the means and deviations of the training codes; the examples
    themselves, whose values share a unit, are taken as they are.
    """

    def fit_and_predict(train: Examples, x: Tensor) -> Tensor:
        from sklearn.linear_model import LogisticRegression

        probe = LogisticRegression(C=options.c, max_iter=1000)
        probe.fit(train.x.numpy(), train.y.numpy())
        return torch.from_numpy(probe.predict(x.numpy()))

    def standardized(train: Examples, x: Tensor) -> Tensor:
        mean, std = train.x.mean(0), train.x.std(0, correction=0)
        std = torch.where(std > 0, std, 1.0)
        return fit_and_predict(Examples((train.x - mean) / std, train.y), (x - mean) / std)

    return lambda evaluation: _figures(
        "linear_probe", evaluation, options, standardized, fit_and_predict
    )


def knn(options: NearestNeighbours) -> Any:
    """The recipe of the metric ``knn``: the vote of the k nearest by Euclidean distance.

    Codes are not standardized: a dimension that holds nothing about x hardly varies, and would be
    given the weight of the others.
    """

    def vote(train: Examples, x: Tensor) -> Tensor:
        from sklearn.neighbors import KNeighborsClassifier

        if len(train.y) < options.k:
            raise DataError(f"knn with k={options.k} has only {len(train.y)} labels to train on")
        neighbours = KNeighborsClassifier(options.k, algorithm="brute")
        neighbours.fit(train.x.numpy(), train.y.numpy())
        return torch.from_numpy(neighbours.predict(x.numpy()))

    return lambda evaluation: _figures("knn", evaluation, options, vote, vote)


def _figures(
    name: str,
    evaluation: Evaluation,
    options: Classification,
    of_codes: Classifier,
    of_inputs: Classifier,
) -> dict[str, float]:
    """Accuracy on codes and on inputs, with standard errors: over the examples that are measured,
    or of few labels over the draws of these."""
    train = evaluation.train
    if train is None:
        raise DataError(
            f"{name.replace('_', '-')} learns from the train split and is measured on another, "
            f"and here it has no other: give data with splits, as a name or vaezoo.data.Data "
            f"has them, and measure the test or the validation split"
        )
    y = labels_of(evaluation.source, "the examples that are measured")
    train_y = labels_of(train, "the train split")
    known, chosen = y >= 0, [*_draws(train_y, options, evaluation.seed)]

    def accuracy(
        classifier: Classifier, x: Tensor, train_x: Callable[[Tensor], Tensor]
    ) -> tuple[float, float]:
        correct = torch.stack(
            [classifier(Examples(train_x(p), train_y[p]), x) == y[known] for p in chosen]
        ).double()  # (draws, N)
        values = correct[0] if options.labels is None else correct.mean(1)
        n = len(values)
        return values.mean().item(), values.std().item() / math.sqrt(n) if n > 1 else math.nan

    def coded(places: Tensor) -> Tensor:
        if options.labels is None:
            return evaluation.train_codes[places]
        return evaluation.embedded(Subset(train, places))

    def raw(places: Tensor) -> Tensor:
        return inputs(evaluation, Subset(train, places))

    found = {"accuracy": accuracy(of_codes, evaluation.codes[known], coded)}
    if options.floor:
        x = inputs(evaluation, evaluation.source)[known]
        found["accuracy_raw"] = accuracy(of_inputs, x, raw)
    figures: dict[str, float] = {}
    for side, (mean, error) in found.items():
        figures |= {f"{name}_{side}": mean, f"{name}_{side}_standard_error": error}
    figures[f"{name}_labels"] = len(chosen[0])
    if options.labels is not None:
        figures[f"{name}_draws"] = options.draws
    return figures | {"unlabelled": int((~known).sum())}


def _draws(y: Tensor, options: Classification, seed: int) -> Iterator[Tensor]:
    """The places of the training examples whose labels are used, of each draw. y: (N,)."""
    classes = torch.unique(y[y >= 0])
    if len(classes) < 2:
        raise DataError("a classifier needs training examples of at least 2 classes")
    if options.labels is None:
        yield (y >= 0).nonzero().flatten()
        return
    each, rest = divmod(options.labels, len(classes))
    if rest or not each:
        raise DataError(
            f"{options.labels} labels cannot be as many of each class: give a multiple of "
            f"{len(classes)}, the number of classes"
        )
    members = {c: (y == c).nonzero().flatten() for c in classes.tolist()}
    for c, places in members.items():
        if len(places) < each:
            raise DataError(
                f"class {c} has {len(places)} labelled training examples, and {each} are needed "
                f"of each: ask for at most {len(places) * len(classes)} labels"
            )
    for draw in range(options.draws):
        chosen = [
            places[torch.from_numpy(shuffled_indices(len(places), mix_integers(seed, draw, c)))]
            for c, places in members.items()
        ]
        yield torch.cat([places[:each] for places in chosen])


def labels_of(source: Source, what: str) -> Tensor:
    """The labels of a source, -1 where unlabelled: (N,), on the CPU. DataError for none at all."""
    pieces = []
    if source.num_classes is not None:
        for start in range(0, len(source), 1000):
            stop = min(start + 1000, len(source))
            y = source.examples(torch.arange(start, stop, device=source.device))[1]
            assert y is not None
            pieces.append(y.cpu())
    if not pieces or bool((torch.cat(pieces) < 0).all()):
        raise DataError(f"no labels come with {what}: pass (x, y), or data that have them")
    return torch.cat(pieces)


def inputs(evaluation: Evaluation, source: Source) -> Tensor:
    """The examples of a source as the model takes them, flat: (N, D) float32, on the CPU."""
    return torch.cat([x.flatten(1).float().cpu() for x, _, _ in evaluation.batches(source)])
