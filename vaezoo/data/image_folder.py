"""The dataset ``image-folder``: images of any size and mode, with sub-folders for classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from vaezoo.data.file_source import FileSource
from vaezoo.data.files import (
    Corrupt,
    FileOptions,
    class_indices,
    classes_of,
    located,
    split_places,
    warn_of_skipped,
)
from vaezoo.data.image_files import MEMORY, File, decode, each, list_files
from vaezoo.data.pixels import Look, look, read
from vaezoo.data.preprocessing import ImagePreprocessing
from vaezoo.data.source import Subset, TensorSource
from vaezoo.data.splits import Data, named_splits
from vaezoo.errors import DataError
from vaezoo.options import to_json


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions(FileOptions):
    """How a folder becomes examples of one size."""

    image_size: int | tuple[int, int] | None = None
    """Pixels of a side, or height and width; not needed where all images agree. On the command
    line also --image-size."""
    resize: Literal["crop", "stretch", "pad"] = "crop"
    """How other shapes are brought to it: their middle, the whole distorted, or the whole on
    black."""
    mode: Literal["auto", "grey", "rgb"] = "auto"
    """One channel or three. auto: grey if all files are stored so."""
    corrupt: Corrupt = "refuse"
    """What to do with files that cannot be read: refuse them all, or skip them and say so."""
    labels: bool = True
    """Whether sub-folders are classes; images outside of them are then unlabelled."""
    memory: float = MEMORY
    """How many GiB the pixels may take."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"image_size must be positive, not {self.image_size}")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else size


def image_folder(options: ImageFolderOptions, root: Path | None) -> Data:
    """The images of a folder, in the order of their names. ``root`` is not used."""
    options, path = located(options)
    if not path.is_dir():
        raise DataError(f"{path} is no folder: image-folder reads the images of a folder")
    files, faults = list_files(path), []
    looks: list[Look] = []
    if options.size is None or options.mode == "auto":
        looked = each(
            lambda i: look(files[i].path), files, corrupt=options.corrupt, what="looking at images"
        )
        faults += looked.faults
        files, looks = [files[i] for i in looked.good], [*looked.good.values()]
    preprocessing = ImagePreprocessing(
        image_size=options.size or _common_size(files, looks),
        mode=_mode(options, looks),
        resize=options.resize,
        classes=_classes(files) if options.labels else (),
        corrupt=options.corrupt,
    )
    x, decoded = decode(files, preprocessing, memory=options.memory)
    faults += decoded.faults
    files = [files[i] for i in decoded.good]
    warn_of_skipped(faults, len(files) + len(faults), f"images in {path}")
    return _data(options, files, x, preprocessing, skipped=len(faults))


def read_images(path: Path, preprocessing: ImagePreprocessing, *, labels: bool) -> TensorSource:
    """Other images, a folder or one file, brought to the same size and mode; named by file.

    labels: whether sub-folders are the classes of the preprocessing. Raises DataError.
    """
    files = list_files(path)
    x, decoded = decode(files, preprocessing, advice="give them in several folders")
    warn_of_skipped(decoded.faults, len(files), f"images in {path}")
    files = [files[i] for i in decoded.good]
    classes = preprocessing.classes
    y = labels_of(files, classes) if labels and classes else None
    count = None if y is None else len(classes)
    return TensorSource(x, y, count, names=[file.name for file in files])


def open_images(path: Path, preprocessing: ImagePreprocessing, *, labels: bool) -> FileSource:
    """The same as ``read_images``, but each image is decoded when it is asked for.

    One that cannot be read is refused then. To skip such files all are decoded here, once more.
    """
    files = list_files(path)
    if preprocessing.corrupt == "skip":
        found = each(
            lambda i: read(files[i].path, preprocessing).size,
            files,
            corrupt="skip",
            what="checking images",
        )
        warn_of_skipped(found.faults, len(files), f"images in {path}")
        files = [files[i] for i in found.good]
    strict = replace(preprocessing, corrupt="refuse")

    def pixels(start: int, stop: int) -> Tensor:
        return decode(files[start:stop], strict, memory=math.inf, what="")[0]

    classes = preprocessing.classes
    y = labels_of(files, classes) if labels and classes else None
    return FileSource(
        pixels,
        len(files),
        preprocessing.shape,
        y=y,
        num_classes=None if y is None else len(classes),
        names=[file.name for file in files],
        slow=True,
    )


def labels_of(files: Sequence[File], classes: Sequence[str]) -> Tensor:
    """The class of each file's folder, -1 outside of one: (N,) int64. Raises DataError."""
    folders = [file.folder for file in files]
    where = next((str(f.path.parent) for f in files if f.folder not in {"", *classes}), "")
    return class_indices(folders, classes, where)


def _data(
    options: ImageFolderOptions,
    files: Sequence[File],
    x: Tensor,
    preprocessing: ImagePreprocessing,
    *,
    skipped: int,
) -> Data:
    classes = preprocessing.classes
    y = labels_of(files, classes) if classes else None
    source = TensorSource(x, y, len(classes) or None, names=[file.name for file in files])
    given: dict[str, list[int]] = {}
    for i, file in enumerate(files):
        given.setdefault(file.split, []).append(i)
    splits = {
        split: (Subset(source, places), rule)
        for split, (places, rule) in split_places(given, options).items()
    }
    return named_splits(
        "image-folder",
        splits,
        options=to_json(options),
        classes=classes,
        preprocessing=preprocessing,
        notes={"skipped": skipped} if skipped else {},
    )


def _classes(files: Sequence[File]) -> tuple[str, ...]:
    """The sub-folders of the training images; one alone tells nothing apart."""
    classes = classes_of([file.folder for file in files if file.split == "train"])
    return classes if len(classes) > 1 else ()


def _mode(options: ImageFolderOptions, looks: Sequence[Look]) -> Literal["grey", "rgb"]:
    if options.mode != "auto":
        return options.mode
    return "grey" if all(seen.grey for seen in looks) else "rgb"


def _common_size(files: Sequence[File], looks: Sequence[Look]) -> tuple[int, int]:
    """Height and width of all images. Raises DataError where they differ."""
    sizes = [(seen.height, seen.width) for seen in looks]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            first, other = ("x".join(map(str, s)) for s in (sizes[0], size))
            raise DataError(
                f"the images differ in size (height x width): {files[0].name} is {first}, "
                f"{file.name} is {other}; say which size to bring them to with image_size=64 "
                f"(--image-size 64)"
            )
    return sizes[0]
