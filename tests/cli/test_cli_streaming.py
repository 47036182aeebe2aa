"""Commands read and write in pieces: the same comes out, whatever goes in, or nothing at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import vaezoo as zoo
from vaezoo.cli.array_outputs import write_arrays
from vaezoo.data import ImagePreprocessing, TablePreprocessing, read_for
from vaezoo.errors import DataError

N, SHAPE = 23, (3, 8, 6)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The same images as a folder and as arrays; models of images, of classes, of rows."""
    root = tmp_path_factory.mktemp("own")
    x = np.random.default_rng(0).integers(0, 256, (N, *SHAPE), dtype=np.uint8)
    np.save(root / "a.npy", x)
    np.savez(root / "a.npz", x=x)
    np.savez_compressed(root / "packed.npz", x=x)
    save_file({"x": torch.from_numpy(x)}, root / "a.safetensors")
    (root / "images").mkdir()
    for i, image in enumerate(x):
        Image.fromarray(image.transpose(1, 2, 0)).save(root / "images" / f"{i:02}.png")
    torch.manual_seed(0)
    how = ImagePreprocessing(image_size=(8, 6), classes=("ant", "bee"))
    kinds = TablePreprocessing(
        columns=("a", "b"), mean=(0.0, 0.0), std=(1.0, 1.0), label="kind", classes=("x", "y")
    )
    for name, shape, preprocessing in (
        ("images", SHAPE, None),
        ("classes", SHAPE, how),
        ("rows", (2,), None),
        ("kinds", (2,), kinds),
    ):
        options = {"num_classes": 2} if preprocessing else {}
        options |= {"likelihood": "gaussian"} if shape == (2,) else {}
        variant = "cvae" if preprocessing else "vae"
        model = zoo.create(variant, input_shape=shape, latent_dim=4, **options)
        model.preprocessing = preprocessing
        zoo.save(model, root / "models" / name)
    return root


def ok(result):
    assert result.code == 0, result.err
    return result.out


def files():
    return {path for path in Path().rglob("*") if path.is_file() or path.name.startswith(".")}


KINDS = ["a.npy", "a.npz", "packed.npz", "a.safetensors", "images"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [5, 100])
def test_the_same_comes_out_whatever_goes_in(vaezoo, own, kind, size):
    model = zoo.load(own / "models/images")
    x = torch.from_numpy(np.load(own / "a.npy"))
    line = [own / "models/images", own / kind, "--batch-size", size]
    ok(vaezoo("encode", *line, "--out", "z.npz"))
    ok(vaezoo("reconstruct", *line, "--out", "x.npy"))
    ok(vaezoo("score", *line, "--samples", 3, "--out", "s.csv"))
    parts = x.split(size)
    with np.load("z.npz") as found:
        assert np.array_equal(found["z"], torch.cat([model.embed(part) for part in parts]))
    again = torch.cat([model.reconstruct(part) for part in parts])
    assert np.array_equal(np.load("x.npy"), again)
    with Path("s.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    named = kind == "images"
    assert [row["name"] for row in rows] == [f"{i:02}.png" if named else str(i) for i in range(N)]
    nats = torch.tensor([float(row["log_likelihood"]) for row in rows])
    assert torch.allclose(nats, model.log_likelihood(x, samples=3, seed=0), rtol=1e-6)
    assert not [path for path in files() if path.name.startswith(".")]


@pytest.mark.parametrize("size", [1, 7, 23])
def test_arrays_are_written_as_the_libraries_write_them(size, tmp_path):
    x, y = torch.randn(N, 2, 3), torch.arange(N) % 2
    batches = [{"z": a, "none": None, "y": b} for a, b in zip(x.split(size), y.split(size))]  # noqa: B905
    names, classes = [f"a/{i} é" for i in range(N)], ["p", "q"]
    for ending in ("npy", "npz", "safetensors"):
        write_arrays(tmp_path / f"a.{ending}", iter(batches), names, classes)
    np.save(tmp_path / "b.npy", x)
    np.savez(tmp_path / "b.npz", z=x, y=y, names=np.array(names), class_names=np.array(classes))
    for ending in ("npy", "npz"):
        mine, other = ((tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
        assert mine == other
    found = load_file(tmp_path / "a.safetensors")
    assert {*found} == {"y", "z"}
    assert torch.equal(found["z"], x)
    assert torch.equal(found["y"], y)
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        told = {key: json.loads(value) for key, value in file.metadata().items()}
    assert told == {"names": names, "class_names": classes}
    assert len([*tmp_path.iterdir()]) == 5


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.float64, torch.uint8, torch.int16, torch.bool]
)
def test_numbers_of_any_type_are_kept(tmp_path, dtype):
    x = torch.arange(6).reshape(3, 2).to(dtype)
    write_arrays(tmp_path / "a.safetensors", [{"x": x[:2].t().contiguous().t()}, {"x": x[2:]}])
    found = load_file(tmp_path / "a.safetensors")["x"]
    assert found.dtype == dtype
    assert torch.equal(found, x)


def test_more_names_than_a_header_holds_are_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("vaezoo.cli.array_outputs.LONGEST_HEADER", 200)

    def batches():
        raise AssertionError
        yield {}

    with pytest.raises(DataError, match=r"the names of 30 examples take 360 bytes.*\.npz"):
        write_arrays(tmp_path / "a.safetensors", batches(), ["line 1"] * 30)


@pytest.mark.parametrize("out", ["z.npz", "z.npy", "z.safetensors", "z.csv"])
def test_a_corrupt_image_leaves_nothing_or_is_skipped(vaezoo, own, out):
    Path("images").mkdir()
    for i in range(7):
        content = (own / "images" / f"{i:02}.png").read_bytes()
        Path(f"images/{i}.png").write_bytes(content[:80] if i == 5 else content)
    before = files()
    line = ["encode", own / "models/images", "images", "--batch-size", 2, "--out", out]
    assert "an image cannot be read: 5.png" in vaezoo(*line).error
    assert files() == before
    result = vaezoo(*line, "--data.corrupt", "skip")
    assert result.code == 0
    assert "1 of 7 images in" in result.err
    assert result.out.startswith("images: 6 examples\n")
    if out == "z.csv":
        assert [line.split(",")[0] for line in Path(out).read_text().splitlines()[1:]] == [
            f"{i}.png" for i in (0, 1, 2, 3, 4, 6)
        ]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_of_images_is_whole_or_as_it_was(vaezoo, own, monkeypatch, there):
    if there:
        Path("made").mkdir()
        Path("made/mine.png").touch()
    before = files()
    original, calls = zoo.VAE.reconstruct, []

    def interrupted(self, x, y=None):
        calls.append(len(x))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, x, y)

    line = ["reconstruct", own / "models/images", own / "a.npy", "--batch-size", 5]
    line += ["--out", "made", "--overwrite"]
    with monkeypatch.context() as patch:
        patch.setattr(zoo.VAE, "reconstruct", interrupted)
        assert vaezoo(*line).code == 130
    assert files() == before
    assert Path("made").exists() == there
    ok(vaezoo(*line))
    assert len(files() - before) == N
    assert not [path for path in files() if path.name.startswith(".")]


def test_scores_of_many_rows_are_those_of_python(vaezoo, own):
    """Beyond the default batch of 1,000: the draws are a function of seed and place alone."""
    rows = np.random.default_rng(1).normal(size=(1100, 2))
    np.savetxt("rows.csv", rows, delimiter=",", header="a,b", comments="")
    model = zoo.load(own / "models/rows")
    x = read_for(model, "rows.csv").x
    whole = model.log_likelihood(x, samples=20, seed=0)
    for size in ([], ["--batch-size", 300], ["--batch-size", 130]):
        line = ["score", own / "models/rows", "rows.csv", "--samples", 20, *size]
        ok(vaezoo(*line, "--out", "s.csv", "--overwrite"))
        with Path("s.csv").open(newline="") as file:
            found = [float(row["log_likelihood"]) for row in csv.DictReader(file)]
        assert torch.tensor(found).equal(whole)


def test_codes_of_a_table_are_read_in_pieces(vaezoo, own, monkeypatch):
    monkeypatch.setattr("vaezoo.data.file_source.VALUES", 12)
    monkeypatch.setattr("vaezoo.data.csv_rows.NUMBERS", 12)
    rows = [f"line {i},{i % 2},0.5,{i},-1,2e-3" for i in range(10)]
    Path("z.csv").write_text("\n".join(["name,y,z0,z1,z2,z3", *rows]) + "\n")
    line = ["decode", own / "models/kinds", "z.csv", "--batch-size", 3, "--out", "d.csv"]
    ok(vaezoo(*line))
    z = torch.tensor([[0.5, i, -1, 2e-3] for i in range(10)])
    expected = zoo.load(own / "models/kinds").decode(z, torch.arange(10) % 2).mean
    header, *found = (line.split(",") for line in Path("d.csv").read_text().splitlines())
    assert header == ["name", "a", "b", "kind"]
    assert [(row[0], row[3]) for row in found] == [(f"line {i}", "xy"[i % 2]) for i in range(10)]
    values = torch.tensor([[float(cell) for cell in row[1:3]] for row in found])
    assert torch.allclose(values, expected, atol=1e-6)


def test_what_lacks_labels_is_told_how_to_get_them(vaezoo, own):
    line = ["encode", own / "models/classes"]
    for data in ("images", "images/00.png"):
        error = vaezoo(*line, own / data, "--out", "z.npz").error
        assert "is conditioned on labels, but the examples of" in error
        assert "have none: give a folder whose sub-folders are named as the classes" in error
        assert "(ant, bee)" in error
    Path("rows.csv").write_text("a,b\n1,2\n")
    error = vaezoo("encode", own / "models/kinds", "rows.csv", "--out", "z.npz").error
    assert "have none: give their classes in a column 'kind'" in error
    error = vaezoo(*line, own / "a.npy", "--out", "z.npz").error
    assert "labels in 0..1" in error or "named as the classes" in error


def test_eval_takes_one_image_as_encode_does(vaezoo, own):
    line = ["eval", own / "models/images", "--data", own / "images/03.png", "--json"]
    figures = json.loads(ok(vaezoo(*line)))
    assert (figures["data"], figures["examples"]) == ("03", 1)
    assert "no file or folder" in vaezoo("eval", own / "models/images", "--data", "no.png").error
