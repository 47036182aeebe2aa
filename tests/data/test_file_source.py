"""Examples that stay in their files are those that are read as a whole, faults included."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import vaezoo
from vaezoo.data import file_source, open_for, read_for
from vaezoo.data.file_source import FileSource
from vaezoo.data.preprocessing import (
    ArrayPreprocessing,
    ImagePreprocessing,
    TablePreprocessing,
)
from vaezoo.errors import DataError, DataWarning

N, SHAPE = 11, (3, 6, 5)


def pixels(dtype: Any = np.uint8) -> Any:
    return np.random.default_rng(0).integers(0, 256, (N, *SHAPE)).astype(dtype)


def model_of(shape: tuple[int, ...], preprocessing: Any = None) -> vaezoo.VAE:
    classes = {"num_classes": 2} if getattr(preprocessing, "classes", ()) else {}
    model = vaezoo.create(
        "cvae" if classes else "vae",
        input_shape=shape,
        latent_dim=2,
        likelihood="gaussian",
        **classes,
    )
    model.preprocessing = preprocessing
    return model


def written(folder: Path, kind: str) -> tuple[vaezoo.VAE, Path]:
    """A file or folder of that kind, and a model of such data."""
    x, floats, path = pixels(), pixels(np.float64) / 255, folder / f"a.{kind.split()[-1]}"
    last = ArrayPreprocessing(channels="last")
    if kind == "folder":
        path = folder / "images"
        for i, image in enumerate(x):
            (path / "pq"[i % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(path / "pq"[i % 2] / f"{i:02}.png")
        return model_of(SHAPE, ImagePreprocessing(image_size=(6, 5), classes=("p", "q"))), path
    if kind == "csv":
        rows = [
            f"{','.join(map(str, row))},{'xy'[i % 2]}" for i, row in enumerate(floats[:, 0, 0])
        ]
        path.write_text("\n".join(["a,b,c,d,e,kind", *rows[:4], "", *rows[4:]]) + "\n")
        how = {"mean": (0.5,) * 5, "std": (0.1, 0.2, 0.3, 0.4, 0.5), "label": "kind"}
        table = TablePreprocessing(columns=tuple("abcde"), classes=("x", "y"), **how)
        return model_of((5,), table), path
    if kind == "npy":
        np.save(path, x)
    elif kind == "double npy":
        np.save(path, floats.astype(">f8"))
    elif kind == "fortran npy":
        np.save(path, np.asfortranarray(floats))
    elif kind == "last npy":
        np.save(path, x.transpose(0, 2, 3, 1))
        return model_of(SHAPE, last), path
    elif kind == "npz":
        np.savez(path, y=np.arange(N), x=x)
    elif kind == "packed npz":
        np.savez_compressed(path, x_train=floats[:4], x_test=floats[4:])
    elif kind == "safetensors":
        save_file({"x": torch.from_numpy(x)}, path)
    else:
        save_file({"x": torch.from_numpy(floats).bfloat16()}, path)
    return model_of(SHAPE), path


KINDS = [
    *("folder", "csv", "npy", "double npy", "fortran npy", "last npy"),
    *("npz", "packed npz", "safetensors", "brain safetensors"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_stays_in_files_is_what_is_read_as_a_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "VALUES", 2 * 90)  # pieces of two
    model, path = written(tmp_path, kind)
    whole, lazy = read_for(model, path), open_for(model, path)
    assert isinstance(lazy, FileSource)
    assert not isinstance(whole, FileSource)
    for what in ("shape", "num_classes", "unit_range"):
        assert getattr(lazy, what) == getattr(whole, what)
    assert len(lazy) == len(whole) == N
    assert tuple(lazy.names) == whole.names
    for places in (range(N), range(3, 7), [9, 0, 1, 1, 10, 4, 3]):
        index = torch.tensor([*places])
        for mine, other in zip(lazy.examples(index), whole.examples(index), strict=True):
            assert (mine is None) == (other is None)
            if mine is not None and other is not None:
                assert mine.dtype == other.dtype
                assert torch.equal(mine, other)
    moved = lazy.to("meta")
    assert moved.examples(torch.tensor([0], device="cpu"))[0].device.type == "meta"
    assert lazy.device.type == "cpu"


@pytest.mark.parametrize("kind", ["double npy", "packed npz", "brain safetensors"])
@pytest.mark.parametrize("read", [open_for, read_for])
def test_a_row_that_is_not_finite_is_named(
    tmp_path: Path, kind: str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "VALUES", 2 * 90)
    x = pixels(np.float64) / 255
    x[5, 0, 0, 0], x[7, 2, 3, 4] = np.inf, np.nan
    path = tmp_path / f"a.{kind.split()[-1]}"
    if kind == "double npy":
        np.save(path, x)
    elif kind == "packed npz":
        np.savez_compressed(path, x=x)
    else:
        save_file({"x": torch.from_numpy(x)}, path)
    with pytest.raises(DataError, match=r"a\.\w+.*: 2 of 11 examples hold NaN.* at index 5;"):
        read(model_of(SHAPE), path)


def test_a_corrupt_image_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    model, path = written(tmp_path, "folder")
    (path / "q" / "05.png").write_bytes(b"no image")
    lazy = open_for(model, path)
    place = [*lazy.names].index("q/05.png")
    assert len(lazy.examples(torch.arange(place))[0]) == place
    with pytest.raises(DataError, match=r"an image cannot be read: q/05\.png .*corrupt='skip'"):
        lazy.examples(torch.tensor([0, place]))
    with pytest.warns(DataWarning, match=r"1 of 11 images .* the first: q/05\.png"):
        some = open_for(model, path, corrupt="skip")
    with pytest.warns(DataWarning, match="1 of 11 images"):
        whole = read_for(model, path, corrupt="skip")
    assert tuple(some.names) == whole.names
    assert torch.equal(some.examples(torch.arange(10))[0], whole.x)
    assert whole.y is not None
    assert torch.equal(some.examples(torch.arange(10))[1], whole.y)  # type: ignore[arg-type]


def test_bad_rows_of_a_table_are_named_or_skipped(tmp_path: Path) -> None:
    model, path = written(tmp_path, "csv")
    path.write_text(path.read_text() + "1,2,,4,5,x\n")
    with pytest.raises(DataError, match="line 14, column 'c' holds nothing"):
        open_for(model, path)
    with pytest.warns(DataWarning, match="1 of 12 rows"):
        assert len(open_for(model, path, corrupt="skip")) == N


@pytest.mark.parametrize("kind", ["npy", "npz", "packed npz", "safetensors"])
def test_a_damaged_file_is_refused_and_named(tmp_path: Path, kind: str) -> None:
    model, path = written(tmp_path, kind)
    content = bytearray(path.read_bytes())
    if kind.endswith("npz"):  # its directory is at the end: so a byte of the array, instead
        with zipfile.ZipFile(path) as archive:
            info = max(archive.infolist(), key=lambda info: info.compress_size)
        content[info.header_offset + info.compress_size - 50] ^= 0xFF
    else:
        del content[-50:]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.\w+.*(damaged|cannot be read)"):
        open_for(model, path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        open_for(model_of(SHAPE), tmp_path / "a.npy")


def test_arrays_of_several_types_in_one_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=pixels(), x_test=pixels(np.float32))
    with pytest.raises(DataError, match="differ in shape or type"):
        open_for(model_of(SHAPE), tmp_path / "a.npz")
