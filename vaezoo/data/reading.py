"""Reading other files the way a trained model's own were read, and the way back.

How they were read is the model's ``preprocessing``, which is saved with its weights.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vaezoo.data.array_rows import in_memory, on_disk
from vaezoo.data.arrays import source_of_arrays
from vaezoo.data.files import Corrupt
from vaezoo.data.image_folder import open_images, read_images
from vaezoo.data.pixels import SUFFIXES
from vaezoo.data.preprocessing import ArrayPreprocessing, ImagePreprocessing, TablePreprocessing
from vaezoo.data.source import Source, TensorSource
from vaezoo.data.splits import Data, as_data, choice_of, named_splits
from vaezoo.data.table import as_it_is, open_table, read_table
from vaezoo.errors import DataError
from vaezoo.registry.paths import chosen_dataset, is_image, reader

if TYPE_CHECKING:
    from vaezoo.model import VAE

OWN = ("image-folder", "array", "csv")
"""The datasets whose files can be read for a model."""


def read_for(
    model: VAE, path: str | os.PathLike[str], *, corrupt: Corrupt | None = None
) -> TensorSource:
    """All examples of a file or folder, read as the model's training data were.

    Images come out in the model's size and mode, arrays with their channels first, and rows of a
    CSV with the model's columns, standardized by what its training rows had. A model that was
    trained on other data takes images in its own shape, and numbers as they are. Labels are read
    for a model that takes them. ``names`` of the result says which file or line an example is.

    corrupt: "skip" leaves out images and rows that cannot be read, with a warning; default, as
    the training data were read. Raises DataError.
    """
    source = _read(model, Path(path), corrupt, lazily=False)
    assert isinstance(source, TensorSource)
    return source


def open_for(
    model: VAE, path: str | os.PathLike[str], *, corrupt: Corrupt | None = None
) -> Source:
    """The same examples as ``read_for`` gives, read from the file or folder as they are used.

    So memory is bounded, whatever their number: of each, its name and its label are held. Arrays
    and tables are looked through here; an image that cannot be read is refused when it is asked
    for. The rows of a CSV, and arrays in a compressed ``.npz``, go to a temporary file. Raises
    DataError.
    """
    return _read(model, Path(path), corrupt, lazily=True)


def _read(model: VAE, path: Path, corrupt: Corrupt | None, *, lazily: bool) -> Source:
    path = path.expanduser()
    if not path.exists():
        raise DataError(f"there is no file or folder {str(path)!r}")
    image = path.is_dir() or path.suffix.lower() in SUFFIXES
    kind = "image-folder" if image else reader(path).name
    shape, labels = model.input_shape, model.num_classes is not None
    if shape is None:
        raise DataError("this model does not say which shape it takes: read the data yourself")
    how = model.preprocessing
    if kind == "image-folder":
        images = _images(shape, how)
        images = replace(images, corrupt=corrupt or images.corrupt)
        source: Source = (open_images if lazily else read_images)(path, images, labels=labels)
    elif kind == "array":
        arrays = how if isinstance(how, ArrayPreprocessing) else None
        rows = on_disk if lazily else in_memory
        found = source_of_arrays(path, arrays, shape=shape, labels=labels, rows=rows)
        source = found if lazily else found.held()
    elif kind == "csv":
        table = how if isinstance(how, TablePreprocessing) else as_it_is(path)
        table = replace(table, corrupt=corrupt or table.corrupt)
        source = (open_table if lazily else read_table)(path, table, labels=labels)
    else:
        raise DataError(f"{path} is read as a whole, by the dataset {kind!r}: see as_data")
    if source.shape != shape:
        raise DataError(f"{path} holds examples of shape {source.shape}; the model takes {shape}")
    return source


def original_units(model: VAE, x: Tensor) -> Tensor:
    """What a model makes, (n, *shape), in the units of its training files.

    For a model of a standardized table the way back, as float64; for others x itself.
    """
    how = model.preprocessing
    return how.restore(x) if isinstance(how, TablePreprocessing) else x


def data_for(
    model: VAE,
    data: Any,
    root: Path | None = None,
    *,
    corrupt: Corrupt | None = None,
    lazily: bool = False,
) -> Data:
    """What ``as_data`` makes of data to use a model on: nothing is held out of raw data.

    The path of a file or folder is read by ``read_for``, or ``lazily`` by ``open_for``, and is
    one split. corrupt: of such a path, as there. Raises DataError or UnknownComponentError.
    """
    if isinstance(data, str | os.PathLike):
        one = {"name": "image-folder", "path": str(Path(data).expanduser().resolve())}
        choice = one if is_image(data) else chosen_dataset(data)
        if choice["name"] in OWN and "path" in choice:
            source = (open_for if lazily else read_for)(model, choice["path"], corrupt=corrupt)
            rule = "all, read as the model's training data were"
            path = {"path": choice["path"]}
            return named_splits(choice["name"], {"train": (source, rule)}, options=path)
    split = isinstance(data, Data) or choice_of(data) is not None
    return as_data(data, validation=None if split else 0, root=root)


def _images(shape: tuple[int, ...], how: Any) -> ImagePreprocessing:
    """The model's, or what its shape asks for. Raises DataError for a model of other things."""
    if isinstance(how, ImagePreprocessing):
        if how.shape != shape:
            raise DataError(f"the model's preprocessing makes {how.shape}, but it takes {shape}")
        return how
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"the model takes examples of shape {shape}, which are no images")
    return ImagePreprocessing(image_size=shape[1:], mode="grey" if shape[0] == 1 else "rgb")
