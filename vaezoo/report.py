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
    split = next((name for name in ("test", "validation") if getattr(data, name)), "train")
    return evaluate(model, data, split=split, binarization=binarization)


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
        caption = f"Training: means over the data in nats, train and validation ({data.name})"
        curve = pictures.training_curve(records, caption=caption)
        written.append(pictures.save_png(curve, folder / "training_curve.png"))
    if len(data.input_shape) != 3 or data.input_shape[0] not in (1, 3):
        return written
    source = data.test or data.validation or data.train
    x, y = first_examples(source, 50, binarization)
    labels = y if model.num_classes is not None else None
    reconstructions = pictures.reconstructions(model, x, labels)
    written.append(pictures.save_png(reconstructions, folder / "reconstructions.png"))
    if model.num_classes is not None:
        samples = pictures.class_samples(model, classes=data.classes)
    else:
        samples = pictures.samples(model)
    written.append(pictures.save_png(samples, folder / "samples.png"))
    one = None if labels is None else labels[:1]
    traversals = pictures.traversals(model, x[:1], one, dims=most_active(model, source))
    written.append(pictures.save_png(traversals, folder / "traversals.png"))
    return written


def first_examples(
    source: Source, n: int, binarization: Binarization
) -> tuple[Tensor, Tensor | None]:
    """The first examples of a split as a model takes them."""
    index = torch.arange(min(n, len(source)), device=source.device)
    x, y = source.examples(index)
    kind: Binarization = "static" if binarization == "dynamic" else binarization
    return binarize(to_float(x), kind, index=index, seed=0), y


def most_active(model: VAE, source: Source, n: int = ROWS) -> list[int]:
    """The latent dimensions whose posterior mean varies most over the examples, in order."""
    x, y = first_examples(source, 500, "none")
    with seeded(0, model.device):
        means = model.embed(x, y if model.num_classes is not None else None)
    order = means.var(0).argsort(descending=True)
    return order[:n].tolist()
