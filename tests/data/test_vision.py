"""Image data sets come from a folder in torchvision's layout, or leave a clear error."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from vaezoo.data import vision
from vaezoo.data.vision import VisionOptions, data_root
from vaezoo.errors import DataError, MissingRequirementError

RECIPES: dict[str, Any] = {
    "MNIST": vision.mnist,
    "FashionMNIST": vision.fashion_mnist,
    "KMNIST": vision.kmnist,
}
TRAIN, TEST, H, W = 10_070, 11, 2, 3


def idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Writes an array of uint8 in the format of MNIST's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write(root: Path, kind: str) -> None:
    """A small data set in MNIST's layout: labels count up, pixels tell the example's index."""
    for name, size in {"train": TRAIN, "t10k": TEST}.items():
        index = np.arange(size)
        x = np.zeros((size, H, W))
        x[:, 0, 0], x[:, 1, 2] = index // 256, index % 256
        idx(root / kind / "raw" / f"{name}-images-idx3-ubyte", x)
        idx(root / kind / "raw" / f"{name}-labels-idx1-ubyte", index % 10)


def numbers(source: Any) -> list[int]:
    x = source.x.long()
    assert (source.x.dtype, source.shape) == (torch.uint8, (1, H, W))
    return list((256 * x[:, 0, 0, 0] + x[:, 0, 1, 2]).tolist())


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that breaks off in the middle of a file, as torchvision tells it."""

    def download(url: str, download_root: str, filename: str, md5: str) -> None:
        print("Downloading ...")  # noqa: T201
        Path(download_root, filename).write_bytes(b"half")
        Path(download_root, filename.removesuffix(".gz")).write_bytes(b"half")
        assert socket.getdefaulttimeout() == vision.PATIENCE
        raise URLError("no route\nto host")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)


@pytest.mark.parametrize("kind", RECIPES)
def test_the_last_ten_thousand_of_the_training_file_are_for_validation(
    tmp_path: Path, kind: str
) -> None:
    write(tmp_path, kind)
    data = RECIPES[kind](VisionOptions(), tmp_path)
    assert numbers(data.train) == list(range(70))
    assert numbers(data.validation) == list(range(70, TRAIN))
    assert numbers(data.test) == list(range(TEST))
    assert data.train.y[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert data.num_classes == len(data.classes) == 10
    assert data.description == {
        "name": data.name,
        "options": {"full_train": False},
        "splits": {
            "train": {"size": 70, "rule": "first 70 of the training file"},
            "validation": {"size": 10_000, "rule": "last 10,000 of the training file"},
            "test": {"size": TEST, "rule": "the test file"},
        },
    }


def test_full_train_takes_validation_into_training(tmp_path: Path) -> None:
    write(tmp_path, "MNIST")
    data = vision.mnist(VisionOptions(full_train=True), tmp_path)
    assert numbers(data.train) == list(range(TRAIN))
    assert data.validation is None
    assert data.description["options"] == {"full_train": True}


def fake(monkeypatch: pytest.MonkeyPatch, kind: str, parts: dict[Any, Any]) -> None:
    """Replaces torchvision's class by one whose ``data`` and labels are given, by split."""

    def make(root: Path, *, download: bool, train: Any = None, split: Any = None) -> Any:
        return parts[train if split is None else split]

    monkeypatch.setattr(datasets, kind, make)


def test_cifar10_puts_channels_first_and_holds_out_the_last_five_thousand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Part:
        classes = tuple("abcdefghij")

        def __init__(self, size: int) -> None:
            self.data = np.zeros((size, 4, 6, 3), dtype=np.uint8)
            self.data[:, 1, 5, 2] = np.arange(size) % 200
            self.targets = [i % 10 for i in range(size)]

    fake(monkeypatch, "CIFAR10", {True: Part(5_007), False: Part(13)})
    data = vision.cifar10(VisionOptions(), tmp_path)
    assert {n: len(s) for n, s in data.splits().items()} == {
        "train": 7,
        "validation": 5_000,
        "test": 13,
    }
    x, y = data.train.examples(torch.tensor([3, 6]))
    assert x.shape == (2, 3, 4, 6)
    assert x[:, 2, 1, 5].tolist() == [3, 6]
    assert y is not None
    assert y.tolist() == [3, 6]
    assert data.classes == tuple("abcdefghij")


def test_svhn_holds_out_the_last_tenth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Part:
        def __init__(self, size: int) -> None:
            self.data = np.zeros((size, 3, 4, 6), dtype=np.uint8)
            self.labels = np.arange(size) % 10

    fake(monkeypatch, "SVHN", {"train": Part(70), "test": Part(13)})
    monkeypatch.setattr(vision, "find_spec", lambda name: name)
    data = vision.svhn(VisionOptions(), tmp_path)
    assert {n: len(s) for n, s in data.splits().items()} == {
        "train": 63,
        "validation": 7,
        "test": 13,
    }
    assert data.input_shape == (3, 4, 6)
    assert data.classes == tuple("0123456789")


def test_svhn_without_scipy_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vision, "find_spec", lambda name: None)
    with pytest.raises(MissingRequirementError, match="pip install scipy"):
        vision.svhn(VisionOptions(), tmp_path)


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("kind", RECIPES)
def test_absent_data_without_a_network_leave_one_line_and_no_files(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new" / "folder"
    with pytest.raises(DataError) as caught:
        RECIPES[kind](VisionOptions(), root)
    message = str(caught.value)
    assert "\n" not in message
    for part in (kind, str(root), "no route to host", "VAEZOO_DATA", "--data-root"):
        assert part in message
    assert f"holds {kind}/raw/train-images-idx3-ubyte" in message
    assert tree(tmp_path) == []
    assert socket.getdefaulttimeout() is None
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("unreachable")
def test_a_failed_download_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    write(tmp_path, "MNIST")
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    before = tree(tmp_path)
    with pytest.raises(DataError, match="not completely, in"):
        vision.mnist(VisionOptions(), tmp_path)
    assert tree(tmp_path) == before


def test_what_is_downloaded_is_put_in_place_without_its_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(self: Any) -> None:
        print("Downloading ...")  # noqa: T201
        write(Path(self.root), "MNIST")
        Path(self.root, "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(b"archive")

    monkeypatch.setattr(datasets.MNIST, "download", download)
    data = vision.mnist(VisionOptions(), tmp_path / "new")
    assert len(data.train) == 70
    assert len(tree(tmp_path)) == 3 + 4  # folders and files
    assert not any(".gz" in path or "download" in path for path in tree(tmp_path))
    assert capsys.readouterr().out == ""
    monkeypatch.undo()
    assert len(vision.mnist(VisionOptions(), tmp_path / "new").train) == 70


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="FileExistsError"):
        vision.mnist(VisionOptions(), tmp_path / "file")


def test_damaged_files_are_reported_as_such(tmp_path: Path) -> None:
    write(tmp_path, "MNIST")
    path = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"cannot be read .* damaged: delete them"):
        vision.mnist(VisionOptions(), tmp_path)


def test_files_too_short_to_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "MNIST")
    raw = tmp_path / "MNIST" / "raw"
    idx(raw / "train-images-idx3-ubyte", np.zeros((17, H, W)))
    idx(raw / "train-labels-idx1-ubyte", np.zeros(17))
    with pytest.raises(DataError, match="holds 17 examples, and the last 10000"):
        vision.mnist(VisionOptions(), tmp_path)


def test_the_folder_is_the_argument_or_the_variable_or_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAEZOO_DATA", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root(None) == tmp_path / "variable"
    monkeypatch.setenv("VAEZOO_DATA", "")
    assert data_root(None) == tmp_path / "cache" / "vaezoo" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root(None) == tmp_path / ".cache" / "vaezoo" / "data"
    assert data_root(Path("~/here")) == tmp_path / "here"
    assert data_root(Path("relative")).is_absolute()


def test_importing_the_data_package_imports_no_torchvision() -> None:
    code = "import sys, vaezoo.data, vaezoo.data.vision; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("VAEZOO_DATA"), reason="VAEZOO_DATA is not set")
@pytest.mark.parametrize(
    ("kind", "first", "last", "name"),
    [("MNIST", [5, 0, 4, 1, 9], 8, "5"), ("FashionMNIST", [9, 0, 0, 3, 0], 5, "Sandal")],
)
def test_the_real_files_are_split_as_described(
    kind: str, first: list[int], last: int, name: str
) -> None:
    data = RECIPES[kind](VisionOptions(), None)
    assert {n: len(s) for n, s in data.splits().items()} == {
        "train": 50_000,
        "validation": 10_000,
        "test": 10_000,
    }
    assert data.input_shape == (1, 28, 28)
    assert data.train.y[:5].tolist() == first
    assert data.validation.y[-1] == last
    assert data.classes[5] == name
    mean = data.train.x.float().mean() / 255
    assert mean == pytest.approx({"MNIST": 0.1307, "FashionMNIST": 0.2860}[kind], abs=0.001)
