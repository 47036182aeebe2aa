"""MNIST and other image data sets through torchvision, downloaded only if absent."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaezoo.data.source import Source, TensorSource
from vaezoo.data.splits import Data, named_splits
from vaezoo.errors import DataError, MissingRequirementError
from vaezoo.options import to_json

PATIENCE = 10.0  # seconds that a download may stand still
DIGITS = tuple("0123456789")


@dataclass(frozen=True, kw_only=True)
class VisionOptions:
    """How the images are split."""

    full_train: bool = False
    """Train on the training and validation examples together (no validation split)."""


def mnist(options: VisionOptions, root: Path | None) -> Data:
    """Handwritten digits, 1x28x28: 50,000 / 10,000 / 10,000."""
    return _mnist_like("mnist", "MNIST", options, root, classes=DIGITS)


def fashion_mnist(options: VisionOptions, root: Path | None) -> Data:
    """Pieces of clothing, 1x28x28: 50,000 / 10,000 / 10,000."""
    return _mnist_like("fashion-mnist", "FashionMNIST", options, root)


def kmnist(options: VisionOptions, root: Path | None) -> Data:
    """Handwritten Japanese characters, 1x28x28: 50,000 / 10,000 / 10,000."""
    return _mnist_like("kmnist", "KMNIST", options, root)


def cifar10(options: VisionOptions, root: Path | None) -> Data:
    """Small photographs of ten kinds of things, 3x32x32: 45,000 / 5,000 / 10,000."""
    folder, file = data_root(root), "cifar-10-batches-py/data_batch_1"
    train = _read("CIFAR10", folder, file, train=True)
    test = _read("CIFAR10", folder, file, train=False)
    x, x_test = (torch.from_numpy(part.data).permute(0, 3, 1, 2) for part in (train, test))
    y, y_test = torch.tensor(train.targets), torch.tensor(test.targets)
    classes = tuple(train.classes)
    return _split("cifar10", options, (x, y), (x_test, y_test), held_out=5_000, classes=classes)


def svhn(options: VisionOptions, root: Path | None) -> Data:
    """House numbers in photographs, 3x32x32: 65,931 / 7,326 / 26,032."""
    if find_spec("scipy") is None:
        raise MissingRequirementError(
            "svhn is read with scipy, which is not installed; run: pip install scipy"
        )
    folder = data_root(root)
    train = _read("SVHN", folder, "train_32x32.mat", split="train")
    test = _read("SVHN", folder, "test_32x32.mat", split="test")
    x, x_test = torch.from_numpy(train.data), torch.from_numpy(test.data)
    y, y_test = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    tenth = -(-len(x) // 10)
    return _split("svhn", options, (x, y), (x_test, y_test), held_out=tenth, classes=DIGITS)


def data_root(root: Path | None = None) -> Path:
    """The folder of named data sets: ``root``, else $VAEZOO_DATA, else the cache folder."""
    if root is None and os.environ.get("VAEZOO_DATA"):
        root = Path(os.environ["VAEZOO_DATA"])
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = Path(cache) / "vaezoo" / "data"
    return root.expanduser().absolute()


def _mnist_like(
    name: str, kind: str, options: VisionOptions, root: Path | None, classes: tuple[str, ...] = ()
) -> Data:
    folder, file = data_root(root), f"{kind}/raw/train-images-idx3-ubyte"
    train, test = (_read(kind, folder, file, train=part) for part in (True, False))
    return _split(
        name,
        options,
        (train.data.unsqueeze(1), train.targets),  # (N, 28, 28) to (N, 1, 28, 28)
        (test.data.unsqueeze(1), test.targets),
        held_out=10_000,
        classes=classes or tuple(train.classes),
    )


def _split(
    name: str,
    options: VisionOptions,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    held_out: int,
    classes: tuple[str, ...],
) -> Data:
    """The training file's last ``held_out`` examples for validation, the test file for the test.

    train, test: x (N, C, H, W) uint8 and y (N,).
    """

    def source(part: tuple[Tensor, Tensor], start: int, stop: int) -> TensorSource:
        x, y = part
        return TensorSource(x[start:stop].contiguous(), y[start:stop], num_classes=len(classes))

    size = len(train[0])
    end = size if options.full_train else size - held_out
    if end <= 0:
        raise DataError(
            f"{name}: the training file holds {size} examples, and the last {held_out} are for "
            f"validation; the file is not the one that torchvision distributes"
        )
    splits: dict[str, tuple[Source, str]] = {
        "train": (source(train, 0, end), f"first {end:,} of the training file"),
        "test": (source(test, 0, len(test[0])), "the test file"),
    }
    if end < size:
        rule = f"last {held_out:,} of the training file"
        splits["validation"] = source(train, end, size), rule
    return named_splits(name, splits, options=to_json(options), classes=classes)


def _read(kind: str, root: Path, file: str, **arguments: Any) -> Any:
    """torchvision's data set from ``root``, downloaded into it first if it is absent.

    file: one of its files, relative to ``root``, for the message. Raises DataError.
    """
    from torchvision import datasets

    make = getattr(datasets, kind)
    try:
        return make(root, download=False, **arguments)
    except Exception as error:
        if not (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise DataError(
                f"{kind} in {root} cannot be read ({_one_line(error)}); its files are damaged: "
                f"delete them, to be downloaded again, or put good ones in their place"
            ) from error
    try:
        with _downloading_into(root) as folder:
            make(folder, download=True, **arguments)
    except Exception as error:  # whatever goes wrong in torchvision or the network
        raise DataError(
            f"{kind} is not, or not completely, in {root} and cannot be downloaded "
            f"({_one_line(error)}); set --data-root or VAEZOO_DATA to a folder in torchvision's "
            f"layout, which holds {file} and its companions, or run once with a network"
        ) from error
    return make(root, download=False, **arguments)


@contextlib.contextmanager
def _downloading_into(root: Path) -> Iterator[Path]:
    """A folder beside the data, whose files move to ``root`` if all goes well, else vanish.

    Within it a connection that stands still fails, and nothing is printed to stdout.
    """
    missing = [p for p in (root, *root.parents) if not p.exists()]
    timeout = socket.getdefaulttimeout()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as name:
            folder = Path(name)
            socket.setdefaulttimeout(PATIENCE)
            with contextlib.redirect_stdout(sys.stderr):
                yield folder
            for path in list(folder.rglob("*")):
                if path.is_file() and path.suffix != ".gz":  # the archives have been unpacked
                    target = root / path.relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    finally:
        socket.setdefaulttimeout(timeout)
        for path in missing:  # the innermost first; those that now hold something stay
            with contextlib.suppress(OSError):
                path.rmdir()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
