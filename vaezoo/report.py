"""What a run ends with: its figures on the test split, and its pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vaezoo import pictures
from vaezoo.data import Binarization, Data
from vaezoo.errors import VaezooError
from vaezoo.evaluation import evaluate
from vaezoo.evaluation.columns import r_squared
from vaezoo.evaluation.latents import site_figures
from vaezoo.evaluation.plane import plane
from vaezoo.model import VAE
from vaezoo.shown import Shown, most_active, pairs, shown_split

PAIRS = 5  # of examples, that are interpolated


def measure(model: VAE, data: Data, binarization: Binarization) -> dict[str, Any]:
    """The figures that a run ends with: on the test split, else on the validation split."""
    return evaluate(model, data, split=shown_split(data)[0], binarization=binarization)


def draw(
    model: VAE,
    data: Data,
    folder: Path,
    *,
    binarization: Binarization,
    records: Sequence[Mapping[str, Any]] = (),
) -> list[Path]:
    """Write all pictures that the model and its data allow to a folder; return their paths.

    The same model, data and records, the lines of a run's metrics, make the same bytes. A
    picture that fails with one of vaezoo's errors is left out with a warning that says why.
    """
    split = shown_split(data)[0]
    shown = Shown(model=model, data=data, split=split, binarization=binarization, records=records)
    written = []
    for name, picture in PICTURES.items():
        try:
            image = picture(shown)
        except VaezooError as error:
            warnings.warn(f"{name}.png is left out: {error}", UserWarning, stacklevel=2)
            continue
        if image is not None:
            written.append(pictures.save_png(image, folder / f"{name}.png"))
    return written


def _training_curve(shown: Shown) -> Image | None:
    if not shown.records:
        return None
    splits = "train" if shown.data.validation is None else "train and validation"
    which = f"{splits} ({shown.data.title})"
    caption = f"Training: means over the data in nats, {which}"
    return pictures.training_curve(shown.records, caption=caption)


def _reconstructions(shown: Shown) -> Image | None:
    if not shown.images:
        return None
    x, y = shown.examples(range(min(50, len(shown.source))))
    return pictures.reconstructions(shown.model, x, y, of=shown.of)


def _columns(shown: Shown) -> Image | None:
    if len(shown.data.input_shape) != 1:
        return None
    values = r_squared(shown.model, shown.batches())
    return pictures.column_chart(values, shown.columns, of=shown.measured_on)


def _samples(shown: Shown) -> Image | None:
    if not shown.images:
        return None
    if shown.conditional:
        return pictures.class_samples(shown.model, classes=shown.classes)
    return pictures.samples(shown.model)


def _traversals(shown: Shown) -> Image | None:
    if not shown.images or shown.sites > 1:
        return None
    x, y = shown.examples([0])
    dims = most_active(shown.model, shown.source, shown.binarization)
    return pictures.traversals(shown.model, x, y, dims=dims, of=shown.of)


def _interpolations(shown: Shown) -> Image | None:
    if not shown.images or shown.sites > 1:
        return None
    chosen = pairs(shown.source, PAIRS, alike=shown.conditional)
    if not chosen:  # one example, or none of a class that has two
        return None
    (a, y), (b, _) = (shown.examples(side) for side in zip(*chosen, strict=True))
    return pictures.interpolations(shown.model, a, b, y, of=shown.of)


def _manifold(shown: Shown) -> Image | None:
    if not shown.images or shown.sites > 1 or shown.model.latent_dim != 2:
        return None
    label = 0 if shown.conditional else None
    values, how = plane(shown.model, shown.codes, label=label, by_prior=shown.sites > 0)
    name = shown.classes[0] if shown.classes else ""
    return pictures.manifold(shown.model, values, label=label, class_name=name, how=how)


def _codes(shown: Shown) -> Image | None:
    classes = shown.data.classes
    return pictures.latent_codes(shown.codes, shown.labels, classes=classes, of=shown.measured_on)


def _factors(shown: Shown) -> Image | None:
    if shown.factors is None:
        return None
    names, sizes, values = shown.factors
    return pictures.factor_codes(shown.codes, values, names, sizes, of=shown.measured_on)


def _kl(shown: Shown) -> Image | None:
    if not shown.sites:
        return None
    return pictures.kl_chart(site_figures(shown.model, shown.batches()), of=shown.measured_on)


PICTURES: Mapping[str, Callable[[Shown], Image | None]] = {
    "training_curve": _training_curve,
    "reconstructions": _reconstructions,
    "columns": _columns,
    "samples": _samples,
    "traversals": _traversals,
    "interpolations": _interpolations,
    "manifold": _manifold,
    "codes": _codes,
    "factors": _factors,
    "kl": _kl,
}
"""By file name, in the order to look at them; None where a picture has nothing to show."""
