"""Whether the data fit the model: found out before the first step, in one clear sentence."""

from __future__ import annotations

import math
import warnings

import torch

from vaezoo.data import Data, Source, evaluation_batches, to_float
from vaezoo.data.labels import UNLABELLED, labels_of
from vaezoo.data.preprocessing import ImagePreprocessing, TablePreprocessing
from vaezoo.errors import DataError, DataWarning
from vaezoo.heads.gaussian import OptimalSigma, PredictedSigma, SharedSigma
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE

GLANCE, MOST = 16, 4096
"""Examples that are looked at together: of those that are slow to read, and of others."""
VALUES = 2**20
"""Numbers that are looked at together, at most, roughly."""
FAR = 1e3
"""Standardized values are nowhere near this."""


def check_data(model: VAE, data: Data) -> None:
    """Raise DataError unless every split has the shape, range and labels that the model takes."""
    splits = {"training": data.train, "validation": data.validation, "test": data.test}
    for name, source in splits.items():
        if source is not None:
            check_source(model, source, f"the {name} examples of {data.title!r}")
    if model.semi_supervised and data.stream is None:
        _check_some_labels(model, data)


def check_source(model: VAE, source: Source, what: str, *, labels: bool = True) -> None:
    """Raise DataError unless these examples have what the model takes, labels included."""
    if model.input_shape is not None and source.shape != model.input_shape:
        raise DataError(
            f"{what} have shape {source.shape}, but the model takes {model.input_shape}: "
            f"{_hint(source.shape, model.input_shape)}"
        )
    head = getattr(model.decoder, "head", None)
    few = source.rendered or source.slow
    if source.slow and labels and model.num_classes is not None:
        y = None if source.num_classes is None else labels_of(source, what)
        _check_labels(model, model.num_classes, y, what)
    # Labels and ranges of stored examples are all looked at; rendered ones are as they are made,
    # and those that take long to read are looked at again when the model takes them.
    size = min(GLANCE if source.slow else MOST, max(1, VALUES // math.prod(source.shape)))
    for batch in evaluation_batches(source, batch_size=size):
        if head is not None:
            head.check(batch.x)
        if labels and model.num_classes is not None:
            _check_labels(model, model.num_classes, batch.y, what)
        if few:
            break


def warn_of_scale(model: VAE, data: Data) -> None:
    """Warn where vectors are so far from unit variance that a Gaussian starts out hopeless."""
    head = getattr(model.decoder, "head", None)
    gaussian = isinstance(head, SharedSigma | PredictedSigma | OptimalSigma)
    if not gaussian or len(data.train.shape) != 1 or data.train.rendered:
        return
    batches = evaluation_batches(data.train, batch_size=4096)
    largest = max(batch.x.abs().max().item() for batch in batches)
    if largest > FAR:
        table = isinstance(data.preprocessing, TablePreprocessing)
        how = " (the option standardize does, --data.standardize)" if table else ""
        warnings.warn(
            f"values of {data.title!r} reach {largest:.1g}, far from the unit variance that "
            f"training starts from: standardize each column, (x - mean) / std{how}",
            DataWarning,
            stacklevel=3,
        )


def check_preprocessing(model: VAE, data: Data) -> None:
    """Raise DataError for a table that was standardized otherwise than the model's own."""
    if standardized_otherwise(model, data):
        raise DataError(
            f"{data.title!r} is standardized by its own means and deviations, not by those that "
            f"the model was trained with: give its path alone, and it is read for the model"
        )


def standardized_otherwise(model: VAE, data: Data) -> bool:
    """Whether it is a table that was standardized otherwise than the model's own."""
    mine, other = model.preprocessing, data.preprocessing
    if not isinstance(mine, TablePreprocessing) or not isinstance(other, TablePreprocessing):
        return False
    return (mine.columns, mine.mean, mine.std) != (other.columns, other.mean, other.std)


def _hint(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to do about examples of another shape than the model takes."""
    if (1, *shape) == wanted:
        return "add the channel, as in x.unsqueeze(1)"
    if len(shape) == 3 and (shape[2], *shape[:2]) == wanted:
        return "put the channels first, as in x.permute(0, 3, 1, 2)"
    return f"give it such examples, or create another model with input_shape={shape}"


def check_model(model: VAE, data: Data) -> None:
    """Raise DataError unless the model makes a whole Trace of two of the examples.

    Raises OptionError for a model that its objective cannot score.
    """
    index = torch.arange(min(2, len(data.train)), device=data.train.device)
    x, y = data.train.examples(index)
    x = to_float(x).to(model.device, model.dtype)
    y = None if y is None else y.to(model.device)
    try:
        with evaluating(model), seeded(0, model.device):
            trace = model(x, y)
            shapes = {tuple(v.shape) for v in (trace.log_px, *trace.kls)}
    except DataError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"the model fails on these examples ({type(error).__name__}: {reason}). An encoder "
            f"maps (x, y) and a decoder (z, y) to a torch Distribution, Independent over the "
            f"dimensions of one event; their sizes must agree with each other and with "
            f"latent_dim; a network that returns tensors is passed to create by vaezoo.wrap"
        ) from error
    if shapes != {(1, len(x))}:
        raise DataError(
            f"log p(x|z) and KL of two examples have shapes {sorted(shapes)} instead of "
            f"(1, 2): wrap the encoder's and the decoder's distributions in "
            f"torch.distributions.Independent over the dimensions of one event"
        )
    model.objective.check(trace)


def _check_some_labels(model: VAE, data: Data) -> None:
    seen = set() if data.num_classes is None else {*labels_of(data.train, data.title).tolist()}
    if not seen - {UNLABELLED}:
        raise DataError(
            f"none of the training examples of {data.title!r} is labelled: this model learns its "
            f"classes from a few that are; pass (x, y) with y = -1 where there is no label"
        )
    never = sorted({*range(model.num_classes or 0)} - seen)
    if never and UNLABELLED in seen:  # among which they may be
        warnings.warn(
            f"no training example of {data.title!r} has the label "
            f"{', '.join(map(str, never[:10]))}{', ...' if len(never) > 10 else ''}: the model "
            f"cannot learn what {'it means' if len(never) == 1 else 'they mean'}",
            DataWarning,
            stacklevel=4,
        )


def _how_to_label(model: VAE) -> str:
    """How examples get the labels that a model takes, in the files that it was trained on."""
    how = model.preprocessing
    if isinstance(how, ImagePreprocessing) and how.classes:
        names = ", ".join(how.classes[:10]) + (", ..." if len(how.classes) > 10 else "")
        return f"give a folder whose sub-folders are named as the classes ({names})"
    if isinstance(how, TablePreprocessing) and how.label:
        return f"give their classes in a column {how.label!r}"
    return (
        f"pass (x, y) with int64 labels in 0..{(model.num_classes or 0) - 1}, or give a file with "
        f"arrays x and y (.npz)"
    )


def _check_labels(model: VAE, num_classes: int, y: torch.Tensor | None, what: str) -> None:
    if y is None and model.semi_supervised:
        return
    if y is None or (not model.semi_supervised and bool((y == UNLABELLED).all())):
        others = any(getattr(p, "num_classes", None) for p in (model.encoder, model.decoder))
        part = "the model" if others else f"the model's prior ({type(model.prior).__name__})"
        raise DataError(
            f"{part} is conditioned on labels, but {what} have none: {_how_to_label(model)}"
        )
    low, high = int(y.min()), int(y.max())
    if low < (-1 if model.semi_supervised else 0) or high >= num_classes:
        raise DataError(
            f"labels of {what} lie in {low}..{high}, but the model takes 0..{num_classes - 1}"
            + (" and no unlabelled (-1) ones" if low == -1 and not model.semi_supervised else "")
        )
