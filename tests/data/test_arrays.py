"""Arrays in files become data, whatever their layout, and nothing in them is unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from vaezoo.data import ArrayPreprocessing, Data, as_data
from vaezoo.errors import DataError

N, C, H, W = 20, 3, 5, 7


def pixels(*shape: int) -> Any:
    """uint8, example i full of i."""
    return np.broadcast_to(
        np.arange(shape[0], dtype=np.uint8).reshape(-1, *[1] * (len(shape) - 1)), shape
    )


def npz(tmp_path: Path, **arrays: Any) -> Path:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def npy(tmp_path: Path, array: Any) -> Path:
    np.save(tmp_path / "a.npy", array)
    return tmp_path / "a.npy"


def read(path: Path, **options: Any) -> Data:
    return as_data({"name": "array", "path": path, **options})


def whole(path: Path, **options: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """All examples in their order."""
    data = read(path, validation=0, test=0, **options)
    return data.train.examples(torch.arange(len(data.train)))


@pytest.mark.parametrize(
    ("shape", "becomes", "channels"),
    [
        ((N, 6), (6,), "none"),
        ((N, H, W), (1, H, W), "none"),
        ((N, C, H, W), (C, H, W), "first"),
        ((N, H, W, C), (C, H, W), "last"),
        ((N, H, W, 1), (1, H, W), "last"),
        ((N, 4, H, W), (4, H, W), "first"),
    ],
)
def test_the_shape_tells_where_the_channels_lie(
    tmp_path: Path, shape: tuple[int, ...], becomes: tuple[int, ...], channels: str
) -> None:
    data = as_data(npy(tmp_path, pixels(*shape)))
    assert data.input_shape == becomes
    assert data.preprocessing == ArrayPreprocessing(channels=channels)
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }


def test_channels_last_keep_their_pixels(tmp_path: Path) -> None:
    array = np.arange(N * H * W * C, dtype=np.float32).reshape(N, H, W, C)
    x, y = whole(npy(tmp_path, array))
    assert x.tolist() == array.transpose(0, 3, 1, 2).tolist()
    assert y is None


@pytest.mark.parametrize("shape", [(N, 3, 5, 4), (N, 5, 7, 9), (N, 1, 6, 3)])
def test_a_shape_that_does_not_tell_needs_a_word(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = npy(tmp_path, pixels(*shape))
    with pytest.raises(DataError, match=r"a\.npy has shape .*--data\.channels last"):
        read(path)
    assert whole(path, channels="first")[0].shape == shape
    assert whole(path, channels="last")[0].shape == (N, shape[3], *shape[1:3])


@pytest.mark.parametrize(
    "keys", [("x", "y"), ("images", "labels"), ("data", "target"), ("X", "Y"), ("anything", None)]
)
def test_the_usual_names_are_understood(tmp_path: Path, keys: tuple[str, str | None]) -> None:
    arrays = {keys[0]: pixels(N, H, W)}
    if keys[1]:
        arrays[keys[1]] = np.arange(N) % 3
    x, y = whole(npz(tmp_path, **arrays))
    assert x[:, 0, 0, 0].tolist() == list(range(N))
    assert (y is None) == (keys[1] is None)
    if y is not None:
        assert y.tolist() == [i % 3 for i in range(N)]


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),  # Keras
        ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST
        ("train", "train_label", "test", "test_label"),
    ],
)
def test_splits_may_be_given_by_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    values = [pixels(N, H, W), np.arange(N)[:, None] % 3, pixels(4, H, W), np.arange(4) % 2]
    data = read(npz(tmp_path, **dict(zip(names, values, strict=True))), validation=0.2)
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 16,
        "validation": 4,
        "test": 4,
    }
    assert data.num_classes == 3
    assert data.test is not None
    x, y = data.test.examples(torch.arange(4))
    assert x[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert y is not None
    assert y.tolist() == [0, 1, 0, 1]


def test_other_names_are_listed_and_can_be_chosen(tmp_path: Path) -> None:
    path = npz(tmp_path, thumbs=pixels(N, H, W), sorts=np.arange(N) % 4, extra=pixels(N, 2))
    with pytest.raises(DataError, match=r"arrays thumbs, sorts, extra, .*key \(--data\.key\)"):
        read(path)
    x, y = whole(path, key="thumbs", labels="sorts")
    assert x.shape == (N, 1, H, W)
    assert y is not None
    assert y.max() == 3
    with pytest.raises(DataError, match=r"no array 'thums'\. Did you mean 'thumbs'\?"):
        read(path, key="thums")


def test_safetensors_are_read(tmp_path: Path) -> None:
    tensors = {"x": torch.rand(N, C, H, W).half(), "y": torch.arange(N) % 2}
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
    x, y = whole(tmp_path / "a.safetensors")
    assert torch.equal(x, tensors["x"].float())
    assert y is not None
    assert torch.equal(y, tensors["y"])


def test_words_for_labels_are_classes(tmp_path: Path) -> None:
    words = np.array(["dog", "cat", "", "dog"] * 5)
    data = read(npz(tmp_path, x=pixels(N, H, W), y=words), validation=0, test=0)
    assert data.classes == ("cat", "dog")
    _, y = data.train.examples(torch.arange(4))
    assert y is not None
    assert y.tolist() == [1, 0, -1, 1]


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    objects = np.empty(3, dtype=object)
    objects[:] = [Bomb()] * 3
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=objects)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb()))
    for name, message in {
        "a.npy": "holds Python objects, which are pickled",
        "a.npz": "array 'x' holds Python objects, which are pickled",
        "b.npy": "is no .npy or .npz file",
    }.items():
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", None])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    path = tmp_path / f"a.{suffix}"
    if content is None:  # cut off
        whole = tmp_path / f"whole.{suffix}"
        if suffix == "safetensors":
            safetensors.torch.save_file({"x": torch.rand(N, H, W)}, whole)
        else:
            save: Any = np.save if suffix == "npy" else np.savez
            save(whole, np.random.default_rng(0).random((N, H, W)))
        content = whole.read_bytes()[:-300]
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.{suffix}"):
        read(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.full((N, 6), np.nan)}, r"a\.npz: array 'x': 20 of 20 .* first at index 0"),
        ({"x": np.where(np.eye(N, 6), np.inf, 0.0)}, "6 of 20 examples hold NaN, infinity"),
        ({"x": np.zeros((N, 6, 4), np.int32)}, "array 'x': examples must be uint8 .* torch.int32"),
        ({"x": np.zeros(N, np.float32)}, r"array 'x': .*at least two dimensions"),
        ({"x": np.array([["a"]] * N)}, "array 'x': arrays must be numeric, not <U1"),
        ({"x": pixels(N, H, W), "y": np.arange(N) / 2}, "array 'y' must hold integers.*float64"),
        ({"x": pixels(N, H, W), "y": np.zeros((N, 4))}, r"array 'y' has shape \(20, 4\)"),
        ({"x": pixels(N, H, W), "y": np.arange(9)}, "20 examples but 9 labels"),
        ({"x": pixels(N, H, W), "y": np.arange(N) - 5}, "the least is -5, at index 0"),
        (
            {"x_train": pixels(N, 6), "x_test": pixels(N, 5)},
            r"differ in shape: \(6,\) in train, \(5,\) in test",
        ),
        (
            {"x_train": pixels(N, 6), "y_train": np.arange(N) % 2, "x_test": pixels(N, 6)},
            "num_classes: 2 in train, None in test",
        ),
        (
            {
                "x_train": pixels(N, 6),
                "y_train": np.arange(N) % 2,
                "x_test": pixels(2, 6),
                "y_test": np.array([0, 5]),
            },
            "less than num_classes=2; the greatest is 5, at index 1",
        ),
    ],
)
def test_faults_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(npz(tmp_path, **arrays))
