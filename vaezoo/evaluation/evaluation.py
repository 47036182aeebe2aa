"""Measuring a model: reported figures use sampled z, a fixed split, and its binarization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.checks import check_preprocessing, check_source
from vaezoo.choosing import Choice, choose
from vaezoo.data import Binarization, Data, Source, data_for, evaluation_batches
from vaezoo.data.preprocessing import TablePreprocessing
from vaezoo.data.progress import told
from vaezoo.errors import DataError, OptionError
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE, check_is_model
from vaezoo.registry.specs import MetricSpec

BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a metric is given: a model, and the examples to measure it on.

    What several metrics need, and takes long, is computed once and kept here.
    """

    model: VAE
    source: Source
    """The examples that are measured."""
    binarization: Binarization
    seed: int
    train: Source | None = None
    """The examples that the model learned from, where they are others: what a classifier of the
    codes is trained on."""

    def batches(
        self, source: Source | None = None, size: int = BATCH, *, labels: bool = True
    ) -> Iterator[Batch]:
        """All examples in their order, in batches, the last one partial.

        source: others than those that are measured. labels: whether they come with any.
        """
        source, kind = self.source if source is None else source, self.binarization
        found = evaluation_batches(source, batch_size=size, binarization=kind)
        for batch in told(found, len(source), "measuring", size=lambda batch: len(batch.x)):
            x = batch.x.to(self.model.device, self.model.dtype)
            y = batch.y.to(x.device) if labels and batch.y is not None else None
            yield Batch(x, y, batch.index)

    def embedded(self, source: Source) -> Tensor:
        """The posterior means of all examples of a source: (N, D) float32, on the CPU.

        Raises DataError for a model whose q(z|x,y) is told the labels: its codes may hold them.
        """
        model = self.model
        if getattr(model.encoder, "num_classes", None) is not None:
            raise DataError(
                "this model's encoder is given the labels, so its codes would tell what they were "
                "told: classify with the codes of a model whose encoder sees x alone, such as vae"
            )
        pieces = (model.embed(x, y) for x, y, _ in self.batches(source))
        return torch.cat([piece.float().cpu() for piece in pieces])

    @cached_property
    def elbos(self) -> Tensor:
        """ELBO, log p(x|z) and KL of each example that is measured, with one sampled z: (3, N)
        float64, nats."""
        rows = []
        with seeded(self.seed, self.model.device):
            for batch in self.batches():
                trace = self.model(batch.x, batch.y)
                rows.append(torch.stack([trace.elbo[0], trace.log_px[0], trace.kl[0]]).double())
        return torch.cat(rows, dim=1)

    @cached_property
    def codes(self) -> Tensor:
        """``embedded`` of the examples that are measured."""
        return self.embedded(self.source)

    @cached_property
    def train_codes(self) -> Tensor:
        """``embedded`` of the train split."""
        assert self.train is not None
        return self.embedded(self.train)

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
        return self.why_not_normalised

    @cached_property
    def why_not_normalised(self) -> str:
        """Why p(x|z) is neither a probability nor a density of these data, or "" where it is."""
        head = getattr(self.model.decoder, "head", None)
        if head is None or not head.discrete or self.binarization != "none":
            return ""
        for batch in self.batches():
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
    metrics: Sequence[Any] | Mapping[str, Any] | str | None = None,
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
    the values in the file's units. What is undefined is NaN. ``bound`` is told where it is one of
    a relaxation of the model only.

    Raises DataError, NoBoundError, UnknownComponentError, OptionError.
    """
    check_is_model(model)
    metrics = None if metrics is None else _chosen(metrics)
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
        model=model,
        source=source.to(model.device),
        binarization=binarization,
        seed=seed,
        train=None if chosen == "train" or splits.stream is not None else splits.train,
    )
    if metrics is None:
        names = ["reconstruction" if model.bound == "none" else "elbo"]
        if model.bound != "none" and model.objective.maximises != "elbo":
            names.append("training-bound")
        if model.bound == "exact" and not evaluation.why_no_bits:
            names.append("bits-per-dim")
        if model.semi_supervised and source.num_classes:
            names.append("accuracy")
        metrics = _chosen(names)
    result: dict[str, Any] = {
        "data": splits.title,
        "split": split or (chosen if len(splits.splits()) > 1 else "all"),
        "examples": len(source),
        "binarization": binarization,
        "seed": seed,
    }
    if model.bound == "relaxed":
        result["bound"] = model.bound
    for metric in metrics:
        compute = metric()
        with evaluating(model), seeded(seed, model.device):
            result |= compute(evaluation)
    if isinstance(model.preprocessing, TablePreprocessing):
        result["log_det"] = model.preprocessing.log_det
    return result


def _chosen(metrics: Sequence[Any] | Mapping[str, Any] | str) -> list[Choice]:
    """The metrics, before the first is computed: an error in the last must not come late."""
    metrics = [metrics] if isinstance(metrics, str | Mapping) else metrics
    found = [choose(MetricSpec, metric) for metric in metrics]
    names = [choice.spec.name for choice in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(
            f"the metric {twice[0]!r} is asked for twice, and its figures have one name: evaluate "
            f"twice to have them with other options"
        )
    return found
