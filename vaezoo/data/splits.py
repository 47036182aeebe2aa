"""Data: a data set with its named splits, and how anything a user has becomes one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaezoo.data.convert import as_source
from vaezoo.data.hashing import shuffled_indices
from vaezoo.data.preprocessing import Preprocessing
from vaezoo.data.source import Repeated, Source, Subset
from vaezoo.data.stream import Stream, as_stream
from vaezoo.errors import DataError, did_you_mean
from vaezoo.registry.paths import chosen_dataset, label_of
from vaezoo.registry.specs import DatasetSpec
from vaezoo.words import counted

__all__ = ["Data", "as_data", "choice_of", "hold_out", "named_splits", "shuffled_indices"]

MOST_HELD_OUT = 10_000
VALIDATION = (
    "None (the data's own, or a tenth held out), 0 (none), a fraction between 0 and 1, a count, "
    "or data"
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set with its fixed, named splits.

    Raises DataError for splits whose examples differ in shape or in their classes.
    """

    name: str
    """As a run's config records it."""
    train: Source
    """What a model learns from."""
    validation: Source | None = None
    """What choices are made by."""
    test: Source | None = None
    """What is looked at once."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty where they have none."""
    description: Mapping[str, Any]
    """JSON-ready: {"name", "options", "splits": {"train": {"size", "rule"}, ...}}."""
    preprocessing: Preprocessing | None = None
    """How files became these examples; ``fit`` hands it to the model."""
    stream: Stream | None = None
    """Where training examples only come one after another: what a model learns from. ``train``
    is then the first of them, which checks and pictures look at."""

    def __post_init__(self) -> None:
        for name, split in self.splits().items():
            # The first examples of a stream need not show all classes.
            for what in ("shape",) if self.stream else ("shape", "num_classes"):
                mine, other = getattr(self.train, what), getattr(split, what)
                if mine != other:
                    raise DataError(
                        f"{self.name}: the splits differ in {what}: {mine} in train, "
                        f"{other} in {name}; all splits must agree"
                    )

    @property
    def title(self) -> str:
        """What people call it: the name, or of a file or folder its own."""
        return label_of({"name": self.name, **self.description.get("options", {})})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.shape

    @property
    def num_classes(self) -> int | None:
        """The number of classes; None: there are no labels."""
        return self.train.num_classes

    def splits(self) -> dict[str, Source]:
        """The splits that there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def split(self, name: str) -> Source:
        """The split of that name. Raises DataError where there is none."""
        splits = self.splits()
        if name not in splits:
            raise DataError(f"{self.name} has no split {name!r}.{did_you_mean(name, splits)}")
        return splits[name]


def named_splits(
    name: str,
    splits: Mapping[str, tuple[Source, str]],
    *,
    options: Mapping[str, Any] | None = None,
    classes: tuple[str, ...] = (),
    preprocessing: Preprocessing | None = None,
    notes: Mapping[str, Any] | None = None,
    stream: Stream | None = None,
) -> Data:
    """Data from its splits, each with the rule that chose its examples, in words.

    notes: JSON-ready, what else there is to know of them. stream: what is trained on, where the
    train split is only the first examples of it.
    """
    order = [split for split in ("train", "validation", "test") if split in splits]
    sources = {split: source for split, (source, _) in splits.items()}
    sizes: dict[str, int | None] = {split: len(source) for split, source in sources.items()}
    if stream is not None:
        sizes["train"] = stream.size
    return Data(
        name=name,
        train=sources["train"],
        validation=sources.get("validation"),
        test=sources.get("test"),
        classes=classes,
        preprocessing=preprocessing,
        description={
            "name": name,
            "options": dict(options or {}),
            "splits": {s: {"size": sizes[s], "rule": splits[s][1]} for s in order},
            **(notes or {}),
        },
        stream=stream,
    )


def hold_out(
    source: Source, fraction_or_count: float | int, seed: int = 0
) -> tuple[Source, Source]:
    """(train, validation): a random part of the source held out for validation.

    A float in (0, 1) is a fraction, an int a count. Both keep the shuffled order. Raises
    DataError where either would be empty.
    """
    if isinstance(source, Repeated):
        raise DataError(
            "some of these training examples are repeated, so that those held out could be among "
            "the others, too: hold out first, and then repeat"
        )
    size, order = len(source), shuffled_indices(len(source), seed)
    count = fraction_or_count
    if isinstance(count, float):
        count = max(1, round(count * size)) if 0 < count < 1 else 0
    if not 0 < count < size:
        raise DataError(
            f"{fraction_or_count} of {counted(size, 'example')} cannot be held out: give a "
            f"fraction between 0 and 1, or a count from 1 to {size - 1}, that leaves some for "
            f"training"
        )
    return Subset(source, order[count:]), Subset(source, order[:count])


def as_data(data: Any, *, validation: Any = None, root: str | Path | None = None) -> Data:
    """Whatever ``data`` is, as Data. Raises DataError, or UnknownComponentError for a name.

    data: a registered dataset's name, or the path of a file or folder that one reads; the same
    with options, as in ``{"path": "photos", "image_size": 64}`` or ``{"name": "sprites",
    "test": 100}``; Data, a Source, a tensor or numpy array of examples, a pair (x, y) of these,
    or a map-style torch Dataset (or a DataLoader of one), read into memory. An IterableDataset,
    a DataLoader with a sampler or a collate_fn of its own, and any other iterable of batches are
    a ``Stream``.

    validation: None keeps the named splits as they are, and holds out a tenth of raw data, at
    most 10,000 examples, chosen by ``shuffled_indices``; none of a stream. 0: no validation. A
    float in (0, 1) or an int: so much of the training examples instead. Or data of the same
    kinds, but no stream; of a name or Data, its validation split, or else its train split.

    A choice of data may say of how few training examples the labels are kept, with the options
    of ``vaezoo.data.FewLabels``, as in ``{"name": "mnist", "keep_labels": 100}``.

    root: the folder in which named datasets are looked for.
    """
    from vaezoo.data.labels import FewLabels  # here, since it is made of Data

    root = None if root is None else Path(root)
    if (choice := choice_of(data)) is None:
        return _as_data(data, validation, root)
    few, choice = FewLabels.taken_from(choice)
    return few.applied_to(_as_data(choice, validation, root))


def _as_data(data: Any, validation: Any, root: Path | None) -> Data:
    named = _named(data, root)
    base = named or _raw(data)
    if validation is None:
        automatic = 0 if base.stream else min(MOST_HELD_OUT, len(base.train) // 10)
        return _holding_out(base, automatic) if automatic and not named else base
    if not isinstance(validation, int | float):
        num_classes = None if base.stream else base.num_classes
        return _with(base, validation=_given(validation, num_classes, root))
    fraction = isinstance(validation, float) and 0 < validation < 1
    count = isinstance(validation, int) and validation > 0
    if isinstance(validation, bool) or not (fraction or count or validation == 0):
        raise DataError(f"validation cannot be {validation}; give {VALIDATION}")
    if validation and base.stream:
        raise DataError(
            f"nothing can be held out of a stream ({base.name}): give its validation examples as "
            f"data, or 0 for none"
        )
    return _holding_out(base, validation) if validation else _with(base, validation=None)


def _named(data: Any, root: Path | None) -> Data | None:
    """Data that already has splits: itself, or a registered dataset's."""
    if isinstance(data, Data):
        return data
    choice = choice_of(data)
    if choice is None:
        return None
    from vaezoo.choosing import choose  # here, so that tensors alone need no plugins
    from vaezoo.registry import lookup

    chosen = choose(DatasetSpec, choice)
    made = chosen(root)
    if not isinstance(made, Data):
        raise lookup.wrong_result(chosen.spec, made, "vaezoo.data.Data")
    return made


def choice_of(data: Any) -> dict[str, Any] | None:
    """``{"name": ..., options}`` of what chooses a registered dataset; None for other data.

    That is a name, a path, or a mapping with "name" or "path". Raises UnknownComponentError or
    DataError for a name or path that is not there.
    """
    if isinstance(data, str | os.PathLike):
        return {**chosen_dataset(data)}
    if not isinstance(data, Mapping) or not {"name", "path"} & data.keys():
        return None
    choice = dict(data)
    if isinstance(choice.get("path"), os.PathLike):
        choice["path"] = os.fspath(choice["path"])
    if "name" in choice:
        return choice
    return {**choice, **chosen_dataset(Path(choice["path"]))}


def _raw(data: Any) -> Data:
    if stream := as_stream(data):
        splits = {"train": (stream.first, "as they are iterated")}
        return named_splits(stream.name, splits, stream=stream)
    source = as_source(data)
    kind = type(data[0] if isinstance(data, tuple | list) else data).__name__
    return named_splits(kind, {"train": (source, "all examples as given")})


def _given(data: Any, num_classes: int | None, root: Path | None) -> tuple[Source, str]:
    """The validation split that ``data`` is, with its rule."""
    named = _named(data, root)
    if named is None:
        return as_source(data, num_classes=num_classes), "given apart"
    split = "validation" if named.validation is not None else "train"
    return named.split(split), f"{named.name}, {split}: {_rule(named, split)}"


def _holding_out(base: Data, fraction_or_count: float | int) -> Data:
    train, validation = hold_out(base.train, fraction_or_count)
    size, count = len(base.train), len(validation)
    origin = _rule(base, "train")
    order = f"shuffled_indices({size}, seed=0)"
    return _with(
        base,
        train=(train, f"{origin}: places {count} to {size - 1} of {order}"),
        validation=(validation, f"{origin}: places 0 to {count - 1} of {order}"),
    )


def _with(
    base: Data,
    *,
    validation: tuple[Source, str] | None,
    train: tuple[Source, str] | None = None,
) -> Data:
    """``base`` with another validation split, or none, and another train split if given."""
    splits = {name: (split, _rule(base, name)) for name, split in base.splits().items()}
    splits.pop("validation", None)
    if validation is not None:
        splits["validation"] = validation
    if train is not None:
        splits["train"] = train
    other = named_splits(
        base.name,
        splits,
        classes=base.classes,
        preprocessing=base.preprocessing,
        stream=base.stream,
    )
    own = {key: value for key, value in base.description.items() if key != "splits"}
    return replace(other, description={**other.description, **own})


def _rule(data: Data, split: str) -> str:
    rule: str = data.description.get("splits", {}).get(split, {}).get("rule", "as given")
    return rule
