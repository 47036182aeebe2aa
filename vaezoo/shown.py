"""Which examples a run's pictures show: as the model takes them, and in words for captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.data import Binarization, Data, Source, to_float
from vaezoo.data.binarize import binarize
from vaezoo.data.preprocessing import TablePreprocessing
from vaezoo.data.progress import told
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.words import counted

MEASURED = 5_000
"""Examples, at most, whose codes are drawn and whose KL is measured."""
BATCH = 500
ROWS = 10  # latent dimensions that are traversed


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A model, and the split that it is shown on."""

    model: VAE
    data: Data
    split: str
    binarization: Binarization
    records: Sequence[Mapping[str, Any]] = ()
    """Of its training, the lines of the run's metrics."""

    @property
    def source(self) -> Source:
        """The split's examples."""
        return self.data.split(self.split)

    @property
    def of(self) -> str:
        """Which examples they are, for captions."""
        return described(self.data, self.split, self.binarization)

    @property
    def measured_on(self) -> str:
        """The examples of ``index``, for captions."""
        n, whole = len(self.index), len(self.source)
        count = f"{n:,} of {whole:,} examples" if n < whole else counted(n, "example")
        return f"{count}, {self.of}"

    @property
    def images(self) -> bool:
        """Whether an example can be drawn."""
        shape = self.data.input_shape
        return len(shape) == 3 and shape[0] in (1, 3)

    @property
    def conditional(self) -> bool:
        """Whether the model takes labels."""
        return self.model.num_classes is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's classes, or none."""
        names = self.data.classes
        return names if len(names) == self.model.num_classes else ()

    @cached_property
    def sites(self) -> int:
        """How many groups of latents the model has, beside a label."""
        x, y = self.examples([0])
        x = x.to(self.model.device, self.model.dtype)
        y = None if y is None else y.to(self.model.device)
        with evaluating(self.model), seeded(0, self.model.device):
            sites = self.model(x, y).sites
            return len(sites) - (self.model.semi_supervised and len(sites) > 1)

    @cached_property
    def index(self) -> list[int]:
        """The examples whose codes are drawn, and whose KL is measured."""
        return even_places(len(self.source), MEASURED)

    def examples(self, index: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Examples as the model takes them, and their labels if it takes any."""
        x, y = examples(self.source, index, self.binarization)
        return x, y if self.conditional else None

    def batches(self) -> Iterator[Batch]:
        """The examples of ``index``, on the model's device."""
        for piece in told(self._pieces(), len(self.index), "drawing", size=len):
            x, y = self.examples(piece)
            x = x.to(self.model.device, self.model.dtype)
            yield Batch(x, None if y is None else y.to(self.model.device))

    @cached_property
    def codes(self) -> Tensor:
        """The posterior means of the examples of ``index``: (N, D), on the CPU."""
        with seeded(0, self.model.device):
            return torch.cat([self.model.embed(x, y).cpu() for x, y, _ in self.batches()])

    @property
    def labels(self) -> Tensor | None:
        """The labels of the examples of ``index``, whether or not the model takes any: (N,)."""
        if self.source.num_classes is None:
            return None
        labels = [examples(self.source, piece, "none")[1] for piece in self._pieces()]
        return torch.cat([y.cpu() for y in labels if y is not None])

    @property
    def factors(self) -> tuple[tuple[str, ...], tuple[int, ...], Tensor] | None:
        """The known factors of the data: names, sizes, and what the examples of ``index`` show."""
        source = self.source
        if not source.factor_names:
            return None
        index = torch.tensor(self.index, device=source.device)
        return source.factor_names, source.factor_sizes, source.factors(index).cpu()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a table's columns, or none."""
        preprocessing = self.data.preprocessing
        return preprocessing.columns if isinstance(preprocessing, TablePreprocessing) else ()

    def _pieces(self) -> Iterator[list[int]]:
        for start in range(0, len(self.index), BATCH):
            yield self.index[start : start + BATCH]


def shown_split(data: Data) -> tuple[str, Source]:
    """The split that figures and pictures are made of: test, else validation, else train."""
    splits = data.splits()
    name = next(name for name in ("test", "validation", "train") if name in splits)
    return name, splits[name]


def examples(
    source: Source, index: Sequence[int], binarization: Binarization
) -> tuple[Tensor, Tensor | None]:
    """Examples of a split as a model takes them; dynamic binarization is drawn once."""
    places = torch.tensor(index, device=source.device)
    x, y = source.examples(places)
    return binarize(to_float(x), _once(binarization), index=places, seed=0), y


def described(data: Data, split: str, binarization: Binarization) -> str:
    """Which ``examples`` a picture shows, for its caption."""
    kind = _once(binarization)
    whole = split == "train" and len(data.splits()) == 1
    part = "" if whole else f", {split} split"
    return data.title + part + ("" if kind == "none" else f", binarized ({kind})")


def most_active(
    model: VAE, source: Source, binarization: Binarization, n: int = ROWS
) -> list[int]:
    """The latent dimensions whose posterior mean varies most over the examples, in order."""
    x, y = examples(source, even_places(len(source), 500), binarization)
    with seeded(0, model.device):
        means = model.embed(x, y if model.num_classes is not None else None)
    order = means.var(0, correction=0).argsort(descending=True)
    return order[:n].tolist()


def even_places(n: int, most: int) -> list[int]:
    """At most so many of the places 0..n-1, in even steps: data may be sorted."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.float64).long().tolist()


def pairs(source: Source, n: int, *, alike: bool) -> list[tuple[int, int]]:
    """At most ``n`` pairs of examples, from all over the data. alike: of one class each."""
    if not alike:
        places = even_places(len(source), 2 * n)
        half = len(places) // 2
        return list(zip(places[:half], places[half : 2 * half], strict=True))
    places = even_places(len(source), 100 * n)
    _, y = source.examples(torch.tensor(places, device=source.device))
    by_class: dict[int, list[int]] = {}
    for place, label in zip(places, [] if y is None else y.tolist(), strict=False):
        by_class.setdefault(label, []).append(place)
    members = (by_class[label] for label in sorted(by_class))
    rounds = zip_longest(*(zip(m[::2], m[1::2], strict=False) for m in members))
    return [pair for round_ in rounds for pair in round_ if pair is not None][:n]


def _once(binarization: Binarization) -> Binarization:
    return "static" if binarization == "dynamic" else binarization
