"""Going through all examples of some data, in batches and in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vaezoo.cli.arguments import CorruptFlag, DataPath, ModelPath, Unset
from vaezoo.cli.usage import UsageError, tell
from vaezoo.errors import did_you_mean
from vaezoo.registry.paths import check_readable
from vaezoo.words import counted

if TYPE_CHECKING:
    from torch import Tensor

    from vaezoo.batch import Batch
    from vaezoo.cli.saved import Saved
    from vaezoo.data import Binarization, Data, Source
    from vaezoo.model import VAE

MOST = 1000
"""Examples in a batch: as many as ``vaezoo eval`` takes, whose draws ``score`` repeats."""
VALUES = 2**22
"""Numbers in a batch of larger examples, roughly."""


@dataclass(frozen=True, kw_only=True)
class Batched:
    """What all commands that write many examples take."""

    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace what is there already."""
    batch_size: Unset[int] = None
    """Examples at a time. Default: 1,000, of large ones fewer."""
    device: str = "auto"
    """auto: the GPU if there is one."""


@dataclass(frozen=True, kw_only=True)
class Through(Batched):
    """What commands that go through all examples take."""

    path: ModelPath = ""
    """A run's folder, a model's folder, or a weights file."""
    examples: DataPath = ""
    """A folder of images, a file of arrays or rows, or a data set's name. Default: the run's."""
    data: Unset[str] = None
    """The same, as other commands take it."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    split: Unset[str] = None
    """train, validation or test. Default: test, else what there is; of a path all."""
    binarization: Unset[Literal["none", "threshold", "static", "dynamic"]] = None
    """How images become binary. Default: as in the run."""
    corrupt: CorruptFlag = None

    @property
    def chosen(self) -> str | None:
        """The data that are asked for."""
        return self.examples or self.data


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Those of one split, as a model takes them."""

    model: VAE
    data: Data
    split: str
    source: Source
    binarization: Binarization
    batch_size: int
    names: Sequence[str]
    """Which file or line each is; empty where nothing tells."""

    def __len__(self) -> int:
        return len(self.source)

    @property
    def described(self) -> str:
        """Which they are, in a line."""
        from vaezoo.shown import described

        n, of = len(self), described(self.data, self.split, self.binarization)
        return f"{of}: {counted(n, 'example')}"

    @property
    def classes(self) -> tuple[str, ...]:
        """What labels 0, 1, ... are called, if that is known."""
        return self.data.classes or getattr(self.model.preprocessing, "classes", ())

    def batches(self, what: str) -> Iterator[Batch]:
        """All of them once, telling the progress listener how far ``what`` is."""
        from vaezoo.data import evaluation_batches
        from vaezoo.data.progress import told

        batches = evaluation_batches(
            self.source, batch_size=self.batch_size, binarization=self.binarization
        )
        batches = self._watched(batches)
        return told(batches, len(self), what, size=lambda batch: len(batch.x))

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same; of rows far from those that a model of standardized columns knows, a word."""
        from vaezoo.checks import FAR
        from vaezoo.data.preprocessing import TablePreprocessing

        standardized = isinstance(self.model.preprocessing, TablePreprocessing)
        far, largest = 0, 0.0
        for batch in batches:
            if standardized:
                sizes = batch.x.abs().amax(1)
                far, largest = far + int((sizes > FAR).sum()), max(largest, sizes.max().item())
            yield batch
        if far:
            tell(
                f"warning: {counted(far, 'row')} of {len(self):,} hold values of up to "
                f"{largest:.1g} standard deviations, so what the model says of them means little: "
                f"are they extreme, or not standardized, as those of a .csv file are?"
            )

    def labels(self, batch: Batch) -> Tensor | None:
        """The labels that the model takes."""
        return None if self.model.num_classes is None else batch.y


def check_asked(asked: Through) -> None:
    """Raise what a wrong choice of data raises, before torch is imported."""
    if asked.examples and asked.data:
        raise UsageError(
            f"the data are named twice, {asked.examples!r} and --data {asked.data}: name them once"
        )
    check_readable(asked.chosen)
    check_batch_size(asked)


def check_batch_size(asked: Batched) -> None:
    """Raise UsageError for what is no size."""
    if asked.batch_size is not None and asked.batch_size < 1:
        raise UsageError(f"--batch-size must be at least 1, not {asked.batch_size}")


def label_of(saved: Saved, label: str) -> int:
    """The class of that name, else of that number. Raises UsageError for none of the model's."""
    size, names = saved.model.num_classes, saved.classes
    if size is None:
        raise UsageError(f"{saved.path} takes no labels: leave out --label")
    called = [i for i, name in enumerate(names) if name.casefold() == label.casefold()]
    if called:
        return names.index(label) if label in names else called[0]
    number = int(label) if label.removeprefix("-").isdecimal() else None
    if number is not None and 0 <= number < size:
        return number
    if number is None and names:
        known = did_you_mean(label, names)
        raise UsageError(f"--label: no class {label!r}.{known} Or say its number, 0..{size - 1}.")
    also = f", or be a class's name ({', '.join(names)})" if names else ""
    raise UsageError(f"--label must lie in 0..{size - 1}, not {label}{also}")


def batch_size(model: VAE, asked: Batched) -> int:
    """The one that is asked for, else one that large examples make smaller."""
    return asked.batch_size or max(1, min(MOST, VALUES // prod(model.input_shape or (1,))))


def find_examples(
    saved: Saved, asked: Through, first: int | None = None, *, labels: bool = True
) -> Examples:
    """The examples that are asked for, at most the ``first`` so many; all fit the model.

    labels: whether they must have those that the model takes. Raises DataError.
    """
    from vaezoo.checks import check_preprocessing, check_source
    from vaezoo.data import Subset
    from vaezoo.shown import shown_split

    model = saved.model
    data = saved.data(asked.chosen, asked.data_root, asked.corrupt, lazily=True)
    check_preprocessing(model, data)
    split, source = (asked.split, data.split(asked.split)) if asked.split else shown_split(data)
    if first is not None and first < len(source):
        source = Subset(source, range(first))
    check_source(model, source, f"the examples of {data.title!r}", labels=labels)
    return Examples(
        model=model,
        data=data,
        split=split,
        source=source,
        binarization=saved.binarization(asked.binarization),
        batch_size=batch_size(model, asked),
        names=_names(source),
    )


def _names(source: Source) -> Sequence[str]:
    from vaezoo.data import Subset

    if isinstance(source, Subset) and (names := _names(source.source)):
        return tuple(names[i] for i in source.indices.tolist())
    return source.names
