"""Few labels: hiding most of those that there are, and showing the others more often.

Shapes: N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vaezoo.data.file_source import FileSource
from vaezoo.data.hashing import shuffled_indices
from vaezoo.data.source import Repeated, Source, Subset, TensorSource
from vaezoo.data.splits import Data, as_data
from vaezoo.errors import DataError, OptionError
from vaezoo.options import build
from vaezoo.words import counted

UNLABELLED = -1
BATCH = 4096
SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """Options that every choice of labelled data takes, beside those of its own."""

    keep_labels: int | None = None
    """Keep the labels of so many training examples, as many of each class, and hide the others:
    for models that learn from both. Default: all."""
    label_seed: int = 0
    """Of the choice of the labels that are kept."""
    labelled_share: float | None = None
    """Repeat labelled training examples until they are this share of all, so that each batch
    holds some; 0: as they are. Default: 0.1 where labels are hidden."""

    def __post_init__(self) -> None:
        if self.labelled_share is not None and not 0 <= self.labelled_share < 1:
            raise OptionError(f"labelled_share must lie in [0, 1), not {self.labelled_share}")

    @classmethod
    def taken_from(cls, choice: Mapping[str, Any]) -> tuple[FewLabels, dict[str, Any]]:
        """These options of a choice of data, and what is left of it. Raises OptionError."""
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in choice.items() if name in names}
        rest = {name: value for name, value in choice.items() if name not in names}
        return build(cls, own, "data"), rest

    def applied_to(self, data: Data) -> Data:
        """The data so, with these options recorded among theirs."""
        share = self.labelled_share
        if self.keep_labels is not None:
            share = SHARE if share is None else share
            data = hide_labels(data, self.keep_labels, seed=self.label_seed)
        if share:
            data = oversample_labelled(data, share)
        changed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
        if not changed:
            return data
        options = {**data.description.get("options", {}), **changed}
        return replace(data, description={**data.description, "options": options})


class Relabelled(Source):
    """A source with other labels. y: (N,) int64, -1 where unlabelled."""

    def __init__(self, source: Source, y: Tensor) -> None:
        assert y.shape == (len(source),)
        self.source = source
        self.y = y.to(source.device)
        self.shape = source.shape
        self.num_classes = source.num_classes
        self.device = source.device
        self.unit_range = source.unit_range
        self.rendered = source.rendered
        self.slow = source.slow
        self.factor_names = source.factor_names
        self.factor_sizes = source.factor_sizes

    def __len__(self) -> int:
        return len(self.source)

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.source.examples(index)[0], self.y[index]

    def factors(self, index: Tensor) -> Tensor:
        return self.source.factors(index)

    def to(self, device: torch.device | str) -> Relabelled:
        return Relabelled(self.source.to(device), self.y)


def hide_labels(
    data: Any, keep: int, *, seed: int = 0, share: float | None = None, root: Any = None
) -> Data:
    """Data of whose training examples only ``keep`` have a label; the other labels become -1.

    As many of each class, chosen by ``seed``; where ``keep`` is no multiple of the number of
    classes, the first ones have one more. Validation and test keep their labels. data, root: as
    ``as_data`` takes them. share: as of ``oversample_labelled``, which follows; None: not.

    Raises DataError where there are no labels, or too few of a class.
    """
    base = data if isinstance(data, Data) else as_data(data, root=root)
    if base.stream is not None:
        raise DataError("labels of a stream cannot be hidden: give its batches y = -1 yourself")
    y = labels_of(base.train, base.title)
    classes = base.train.num_classes
    assert classes is not None
    if not classes <= keep <= len(y):
        raise DataError(
            f"keep at least one label of each of {counted(classes, 'class')}, and no more than "
            f"the {counted(len(y), 'training example')}, not {keep}"
        )
    order = torch.from_numpy(shuffled_indices(len(y), seed))
    hidden = torch.full_like(y, UNLABELLED)
    for label in range(classes):
        wanted = keep // classes + (label < keep % classes)
        found = order[y[order] == label][:wanted]
        if len(found) < wanted:
            raise DataError(
                f"{wanted} labels of class {label} cannot be kept: {base.title} has "
                f"{counted(len(found), 'training example')} of it"
            )
        hidden[found] = label
    rule = f"labels of {keep} kept, balanced, by shuffled_indices({len(y)}, seed={seed})"
    shown = _with_train(base, Relabelled(base.train, hidden), rule)
    return shown if share is None else oversample_labelled(shown, share)


def oversample_labelled(data: Data, share: float = 0.1) -> Data:
    """Data whose labelled training examples are repeated until they are ``share`` of all.

    Of 100 labels among 50,000 examples a batch of 128 would hold 0.26; at a share of 0.1 it holds
    13, each of them 55 times in a pass. Every example remains in the pass at least once; where
    they are so many already, nothing changes. Raises DataError where there are no labels.
    """
    if not 0 < share < 1:
        raise DataError(f"share must lie between 0 and 1, not {share}")
    y = labels_of(data.train, data.title)
    labelled = (y != UNLABELLED).nonzero().flatten()
    others = len(y) - len(labelled)
    if not len(labelled):
        raise DataError(f"none of the training examples of {data.title} is labelled")
    times = round(share / (1 - share) * others / len(labelled))
    if times <= 1:
        return data
    index = torch.cat([torch.arange(len(y)), labelled.repeat(times - 1)])
    return _with_train(data, Repeated(data.train, index), f"labelled ones {times} times")


def labels_of(source: Source, title: str) -> Tensor:
    """All labels: (N,) int64 on the CPU. Raises DataError where there are none."""
    if source.num_classes is None:
        raise DataError(f"{title} has no labels")
    if isinstance(source, Subset):
        return labels_of(source.source, title)[source.indices.cpu()]
    if isinstance(source, TensorSource | FileSource | Relabelled) and source.y is not None:
        return source.y.cpu()  # without making the examples
    places = torch.arange(len(source), device=source.device)
    pieces = (places[start : start + BATCH] for start in range(0, len(places), BATCH))
    labels = [source.examples(index)[1] for index in pieces]
    return torch.cat([y for y in labels if y is not None]).cpu()


def _with_train(data: Data, train: Source, rule: str) -> Data:
    """``data`` with another training split, whose rule is added to its own."""
    splits = dict(data.description.get("splits", {}))
    own = splits.get("train", {}).get("rule", "as given")
    splits["train"] = {"size": len(train), "rule": f"{own}; {rule}"}
    return replace(data, train=train, description={**data.description, "splits": splits})
