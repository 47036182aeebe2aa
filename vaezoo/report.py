"""What a run ends with: its figures on the test split, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaezoo import pictures
from vaezoo.data import Binarization, Data, Source, to_float
from vaezoo.data.binarize import binarize
from vaezoo.evaluation import evaluate
from vaezoo.inference import seeded
from vaezoo.model import VAE

ROWS = 10  # latent dimensions that are traversed


def measure(model: VAE, data: Data, binarization: Binarization) -> dict[str, Any]:
    """The figures that a run ends with: on the test split, else on the validation split."""
    return evaluate(model, data, split=shown_split(data)[0], binarization=binarization)


def draw(
    model: VAE,
    data: Data,
    folder: Path,
    *,
    binarization: Binarization,
    records: Sequence[dict[str, Any]] = (),
) -> list[Path]:
    """Write all pictures that the model and its data allow to a folder; return their paths."""
    written = []
    if records:
        caption = f"Training: means over the data in nats, train and validation ({data.title})"
        curve = pictures.training_curve(records, caption=caption)
        written.append(pictures.save_png(curve, folder / "training_curve.png"))
    if len(data.input_shape) != 3 or data.input_shape[0] not in (1, 3):
        return written
    split, source = shown_split(data)
    x, y = examples(source, range(min(50, len(source))), binarization)
    labels = y if model.num_classes is not None else None
    of = described(data, split, binarization)
    reconstructions = pictures.reconstructions(model, x, labels, of=of)
    written.append(pictures.save_png(reconstructions, folder / "reconstructions.png"))
    if model.num_classes is not None:
        samples = pictures.class_samples(model, classes=data.classes)
    else:
        samples = pictures.samples(model)
    written.append(pictures.save_png(samples, folder / "samples.png"))
    one = None if labels is None else labels[:1]
    dims = most_active(model, source, binarization)
    traversals = pictures.traversals(model, x[:1], one, dims=dims)
    written.append(pictures.save_png(traversals, folder / "traversals.png"))
    return written


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
    part = f", {split} split" if len(data.splits()) > 1 else ""
    return data.title + part + ("" if kind == "none" else f", binarized ({kind})")


def most_active(
    model: VAE, source: Source, binarization: Binarization, n: int = ROWS
) -> list[int]:
    """The latent dimensions whose posterior mean varies most over the examples, in order."""
    x, y = examples(source, range(min(500, len(source))), binarization)
    with seeded(0, model.device):
        means = model.embed(x, y if model.num_classes is not None else None)
    order = means.var(0).argsort(descending=True)
    return order[:n].tolist()


def _once(binarization: Binarization) -> Binarization:
    return "static" if binarization == "dynamic" else binarization
