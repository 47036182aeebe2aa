"""``vaezoo encode``, ``decode``, ``reconstruct`` and ``sample``, to files of one's own."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import vaezoo as zoo
from vaezoo.cli.outputs import png_names
from vaezoo.data import original_units, read_for
from vaezoo.errors import DataError


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder of images in two classes, a table, an array of images; a model of each."""
    root = tmp_path_factory.mktemp("own")
    generator = np.random.default_rng(0)
    for i in range(23):
        path = root / "photos" / "ab"[i % 2] / f"{i:02}.{'jpg' if i % 3 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (10, 9 + i % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    rows = generator.normal(size=(41, 3)) * [1, 100, 0.01] + [0, 5, 7]
    lines = [f"{','.join(map(str, row))},{'xy'[i % 2]}" for i, row in enumerate(rows)]
    (root / "table.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    (root / "bare.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines) + "\n")
    np.savez(root / "last.npz", x=generator.integers(0, 256, (30, 8, 6, 3), dtype=np.uint8))
    for name, variant, data in (
        ("photos", "vae", {"path": root / "photos", "image_size": (8, 6)}),
        ("classes", "cvae", {"path": root / "photos", "image_size": (8, 6)}),
        ("rows", "vae", {"path": root / "table.csv", "drop": ("kind",)}),
        ("kinds", "cvae", {"path": root / "table.csv", "label": "kind"}),
        ("headless", "vae", {"path": root / "bare.csv"}),
        ("last", "vae", {"path": root / "last.npz"}),
        ("spatial", "vae", {"path": root / "last.npz"}),
        ("ae", "ae", {"path": root / "photos", "image_size": (8, 6)}),
    ):
        made = zoo.data.as_data({**data, "path": str(data["path"])})
        shape = {"latent_dim": 4} if name != "spatial" else {"latent_shape": (2, 2, 3)}
        model = zoo.create(
            variant,
            input_shape=made.input_shape,
            offered={"num_classes": made.num_classes},
            **shape,
        )
        zoo.fit(model, made, steps=2, batch_size=4, progress=False)
        zoo.save(model, root / "models" / name)
    return root


def rows_of(path):
    with Path(path).open(newline="") as file:
        return list(csv.reader(file))


def ok(result):
    assert result.code == 0, result.err
    assert not result.err
    return result.out


def names_in(path):
    with safetensors.safe_open(path, "pt") as file:
        return {key: json.loads(value) for key, value in file.metadata().items()}


def read(own, name, path):
    model = zoo.load(own / "models" / name)
    return model, read_for(model, own / path)


def test_encode_writes_what_embed_gives_in_the_order_and_with_the_names_of_the_files(vaezoo, own):
    out = ok(vaezoo("encode", own / "models/photos", own / "photos", "--out", "z.safetensors"))
    assert out == "photos: 23 examples\nz.safetensors\n"
    model, source = read(own, "photos", "photos")
    found = load_file("z.safetensors")
    assert set(found) == {"z", "stddev"}
    assert torch.equal(found["z"], model.embed(source.x))
    assert torch.equal(found["stddev"], model.encode(source.x).stddev)
    assert names_in("z.safetensors") == {"names": list(source.names)}
    assert source.names[:2] == ("a/00.png", "a/02.jpg")


def test_the_formats_hold_the_same(vaezoo, own):
    line = ["encode", own / "models/kinds", own / "table.csv", "--out"]
    for ending in ("safetensors", "npz", "npy", "csv"):
        ok(vaezoo(*line, f"z.{ending}"))
    model, source = read(own, "kinds", "table.csv")
    z = model.embed(source.x, source.y)
    assert torch.equal(load_file("z.safetensors")["z"], z)
    assert names_in("z.safetensors")["class_names"] == ["x", "y"]
    assert np.array_equal(np.load("z.npy", allow_pickle=False), z)
    with np.load("z.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"z", "stddev", "y", "names", "class_names"}
        assert np.array_equal(arrays["z"], z)
        assert arrays["y"].tolist() == source.y.tolist() == [i % 2 for i in range(41)]
        assert arrays["names"].tolist() == [f"line {i}" for i in range(2, 43)]
    header, *rows = rows_of("z.csv")
    assert header == ["name", "y", "z0", "z1", "z2", "z3"]
    assert [row[0] for row in rows] == list(source.names)
    assert [int(row[1]) for row in rows] == source.y.tolist()
    assert np.array_equal(np.array([row[2:] for row in rows], dtype=np.float32), z)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_need_not_divide_the_examples(vaezoo, own, size):
    line = ["encode", own / "models/photos", own / "photos", "--batch-size", size]
    ok(vaezoo(*line, "--out", "z.npz"))
    model, source = read(own, "photos", "photos")
    with np.load("z.npz") as arrays:
        assert np.allclose(arrays["z"], model.embed(source.x), atol=1e-6)
        assert arrays["names"].tolist() == list(source.names)


def test_the_data_of_a_run_are_its_test_split_binarized_as_in_the_run(vaezoo, trained):
    out = ok(vaezoo("encode", trained["cvae"], "--out", "z.npz"))
    assert out.startswith("tiny, test split, binarized (static): 16 examples\n")
    ok(vaezoo("encode", trained["cvae"], "tiny", "--split", "validation", "--out", "v.csv"))
    header, *rows = rows_of("v.csv")
    assert header == ["name", "y", "z0", "z1"]
    assert [row[:2] for row in rows] == [[str(i), str(i % 3)] for i in range(16)]
    ok(vaezoo("encode", trained["cvae"], "--data", "tiny", "--out", "d.npz"))
    with np.load("z.npz") as z, np.load("d.npz") as d:
        assert np.array_equal(z["z"], d["z"])
        assert z["class_names"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["photos", "classes"])
@pytest.mark.parametrize("ending", ["safetensors", "npz", "csv"])
def test_images_come_back_from_their_codes_under_their_names(vaezoo, own, name, ending):
    ok(vaezoo("encode", own / "models" / name, own / "photos", "--out", f"z.{ending}"))
    ok(vaezoo("decode", own / "models" / name, f"z.{ending}", "--out", "made"))
    ok(vaezoo("reconstruct", own / "models" / name, own / "photos", "--out", "again/"))
    model, source = read(own, name, "photos")
    expected = model.reconstruct(source.x, source.y)
    written = sorted(path.relative_to("made").as_posix() for path in Path("made").rglob("*.png"))
    assert written == sorted(str(Path(n).with_suffix(".png")) for n in source.names)
    for n, image in zip(source.names, expected, strict=True):
        file = Path("made", n).with_suffix(".png")
        pixels = np.asarray(Image.open(file)).transpose(2, 0, 1) / 255
        assert np.abs(pixels - image.numpy()).max() <= 0.5 / 255 + 1e-6
        assert file.read_bytes() == Path("again", n).with_suffix(".png").read_bytes()


@pytest.mark.parametrize("name", ["rows", "kinds"])
def test_rows_come_back_in_the_units_and_columns_of_their_file(vaezoo, own, name):
    model, source = read(own, name, "table.csv")
    expected = original_units(model, model.reconstruct(source.x, source.y)).numpy()
    ok(vaezoo("encode", own / "models" / name, own / "table.csv", "--out", "z.csv"))
    ok(vaezoo("decode", own / "models" / name, "z.csv", "--out", "d.csv"))
    ok(vaezoo("reconstruct", own / "models" / name, own / "table.csv", "--out", "r.csv"))
    assert Path("d.csv").read_bytes() == Path("r.csv").read_bytes()
    header, *rows = rows_of("d.csv")
    assert header == ["name", "a", "b", "c", *(["kind"] if name == "kinds" else [])]
    assert [row[0] for row in rows] == list(source.names)
    assert np.array_equal(np.array([row[1:4] for row in rows], dtype=float), expected)
    if name == "kinds":
        assert [row[4] for row in rows] == ["xy"[i % 2] for i in range(41)]
    back = read_for(model, "d.csv")  # what is written can be read for the model again
    assert torch.allclose(back.x, model.reconstruct(source.x, source.y), atol=1e-6)


def test_a_table_without_a_header_stays_without(vaezoo, own):
    ok(vaezoo("reconstruct", own / "models/headless", own / "bare.csv", "--out", "r.csv"))
    model, source = read(own, "headless", "bare.csv")
    assert torch.allclose(read_for(model, "r.csv").x, model.reconstruct(source.x), atol=1e-6)


@pytest.mark.parametrize("name", ["last", "spatial"])
def test_arrays_come_back_in_the_layout_of_their_file(vaezoo, own, name):
    ok(vaezoo("encode", own / "models" / name, own / "last.npz", "--out", "z.npy"))
    assert np.load("z.npy").shape == ((30, 4) if name == "last" else (30, 2, 2, 3))
    for ending in ("npz", "safetensors"):
        ok(vaezoo("decode", own / "models" / name, "z.npy", "--out", f"d.{ending}"))
        model, source = read(own, name, "last.npz")
        assert read_for(model, f"d.{ending}").x.equal(model.reconstruct(source.x))
    with np.load("d.npz") as arrays:
        assert arrays["x"].shape == (30, 8, 6, 3)
    ok(vaezoo("encode", own / "models" / name, own / "last.npz", "--out", "z.csv"))
    ok(vaezoo("decode", own / "models" / name, "z.csv", "--out", "c.npy"))
    assert np.array_equal(np.load("c.npy"), np.load("d.npz")["x"])


def test_codes_of_ones_own_need_no_names(vaezoo, own):
    model = zoo.load(own / "models/classes")
    np.save("z.npy", np.zeros((3, 4)))
    error = vaezoo("decode", own / "models/classes", "z.npy", "--out", "d").error
    assert "say which class with --label, 0..1" in error
    ok(vaezoo("decode", own / "models/classes", "z.npy", "--out", "d", "--label", 1))
    assert sorted(p.name for p in Path("d").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    mean = model.decode(torch.zeros(3, 4), torch.tensor([1, 1, 1])).mean
    ok(vaezoo("decode", own / "models/classes", "z.npy", "--out", "d.npy", "--label", 1))
    assert np.array_equal(np.load("d.npy"), mean)
    assert (
        "--label must lie in 0..1, not 2"
        in vaezoo("decode", own / "models/classes", "z.npy", "--out", "e", "--label", 2).error
    )
    assert (
        "takes no labels"
        in vaezoo("decode", own / "models/photos", "z.npy", "--out", "e", "--label", 1).error
    )
    Path("plain.csv").write_text("0,0,0,0\n1,2,3,4\n")
    ok(vaezoo("decode", own / "models/photos", "plain.csv", "--out", "p.npy"))
    assert len(np.load("p.npy")) == 2


def test_decode_can_draw_from_the_likelihood(vaezoo, own):
    np.save("z.npy", np.zeros((5, 4), dtype=np.float32))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        flags = ["--draw", "--seed", seed, "--out", f"{name}.npy"]
        ok(vaezoo("decode", own / "models/photos", "z.npy", *flags))
    a, b, c = (np.load(f"{name}.npy") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert not np.array_equal(a[0], a[1])


def test_sample_writes_as_many_as_are_asked_for(vaezoo, own):
    ok(vaezoo("sample", own / "models/photos", "--n", 1100, "--seed", 3, "--out", "s.npy"))
    found, model = np.load("s.npy"), zoo.load(own / "models/photos")
    assert found.shape == (1100, 3, 8, 6)
    ok(vaezoo("sample", own / "models/photos", "--n", 9, "--seed", 3, "--out", "s"))
    expected = model.sample(9, seed=3)
    pixels = np.asarray(Image.open("s/00008.png")).transpose(2, 0, 1) / 255
    assert np.abs(pixels - expected[8].numpy()).max() <= 0.5 / 255 + 1e-6
    ok(vaezoo("sample", own / "models/rows", "--n", 4, "--out", "s.csv"))
    rows = zoo.load(own / "models/rows")
    values = original_units(rows, rows.sample(4, seed=0)).numpy()
    header, *written = rows_of("s.csv")
    assert header == ["a", "b", "c"]
    assert np.array_equal(np.array(written, dtype=float), values)


def test_samples_of_a_model_with_labels_are_so_many_of_each_class(vaezoo, own):
    ok(vaezoo("sample", own / "models/classes", "--n", 2, "--out", "s"))
    written = sorted(path.as_posix() for path in Path("s").rglob("*.png"))
    assert written == ["s/a/00000.png", "s/a/00001.png", "s/b/00000.png", "s/b/00001.png"]
    ok(vaezoo("sample", own / "models/kinds", "--n", 3, "--out", "s.csv"))
    assert [row[3] for row in rows_of("s.csv")] == ["kind", *"xxxyyy"]
    ok(vaezoo("sample", own / "models/kinds", "--n", 3, "--label", 1, "--out", "y.csv"))
    assert [row[3] for row in rows_of("y.csv")] == ["kind", *"yyy"]


def test_the_first_reconstructions_and_a_sheet_of_them(vaezoo, own):
    line = ["reconstruct", own / "models/photos", own / "photos", "--n", 3, "--out"]
    assert ok(vaezoo(*line, "r")) == "photos: 3 examples\nr\n"
    assert len(list(Path("r").rglob("*.png"))) == 3
    assert ok(vaezoo(*line, "r.png")) == "r.png\n"
    with Image.open("r.png") as sheet:
        assert sheet.size[0] > 100


def test_an_autoencoder_has_codes_too(vaezoo, own):
    ok(vaezoo("encode", own / "models/ae", own / "photos", "--out", "z.npz"))
    model, source = read(own, "ae", "photos")
    assert np.array_equal(np.load("z.npz")["z"], model.embed(source.x))


def test_what_is_there_is_replaced_only_if_told_so(vaezoo, own):
    line = ["encode", own / "models/rows", own / "table.csv", "--out"]
    Path("z.npy").write_text("mine")
    assert "is there already" in vaezoo(*line, "z.npy").error
    assert Path("z.npy").read_text() == "mine"
    ok(vaezoo(*line, "z.npy", "--overwrite"))
    assert np.load("z.npy").shape == (41, 4)
    Path("full").mkdir()
    Path("full/mine.txt").touch()
    again = ["reconstruct", own / "models/photos", own / "photos", "--out"]
    assert "is not empty" in vaezoo(*again, "full").error
    ok(vaezoo(*again, "full", "--overwrite"))
    assert Path("full/mine.txt").exists()
    Path("empty.d").mkdir()
    ok(vaezoo(*again, "empty.d"))
    assert len(list(Path("empty.d").rglob("*.png"))) == 23
    Path("plain").touch()
    assert "there is a file of that name" in vaezoo(*again, "plain").error


def test_what_takes_long_tells_how_far_it_is(vaezoo, own, monkeypatch):
    monkeypatch.setattr("vaezoo.data.progress.PATIENCE", 0.0)
    line = ["encode", own / "models/rows", own / "table.csv", "--batch-size", 20]
    told = vaezoo(*line, "--out", "z.csv").err.splitlines()
    assert told == [f"vaezoo: encoding: {n} of 41" for n in (20, 40, 41)]
    told = vaezoo("decode", *line[1:2], "z.csv", "--batch-size", 40, "--out", "d.csv").err
    assert told.splitlines() == [f"vaezoo: decoding: {n} of 41" for n in (40, 41)]


@pytest.mark.parametrize("ending", ["csv", "npz", "safetensors"])
def test_an_interrupted_command_leaves_no_half_file(vaezoo, own, monkeypatch, ending):
    original, calls = zoo.VAE.encode, []

    def interrupted(self, x, y=None):
        calls.append(len(x))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, x, y)

    monkeypatch.setattr(zoo.VAE, "encode", interrupted)
    line = ["encode", own / "models/rows", own / "table.csv", "--batch-size", 10]
    assert vaezoo(*line, "--out", f"new/z.{ending}").code == 130
    assert calls == [10, 10, 10]
    assert not [path for path in Path().rglob("*") if path.is_file()]


MISTAKES = [
    ("encode", "say where to write with --out"),
    ("encode --out z.npz", "encode: say which model"),
    ("encode {m}/photos {r}/photos", "say where to write with --out"),
    ("encode {m}/photos {r}/photos --out z.pt", "must end in .safetensors, .npz, .npy or .csv"),
    ("encode {m}/photos {r}/photos --out z", "must end in .safetensors, .npz, .npy or .csv"),
    ("encode {m}/photos {r}/photos more --out z.npz", "unexpected argument 'more'"),
    ("encode {m}/photos {r}/photos --data tiny --out z.npz", "named twice"),
    ("encode {m}/photos --out z.npz", "say what data to use"),
    ("encode {m}/photos mnits --out z.npz", "Did you mean 'mnist'?"),
    ("encode {m}/photos no/such --out z.npz", "no file or folder 'no/such'"),
    ("encode {m}/photos {r}/bare.csv --out z.npz", "shape (3,); the model takes (3, 8, 6)"),
    ("encode {m}/photos tiny --out z.npz", "(1, 8, 8)"),
    ("encode {m}/photos {r}/photos --split test --out z.npz", "no split 'test'"),
    ("encode {m}/photos {r}/photos --batch-size 0 --out z.npz", "--batch-size must be at least"),
    ("encode {m}/rows nan.csv --out z.npz", "line 3, column 'b' holds 'nan'"),
    ("encode {m}/kinds unlabelled.csv --out z.npz", "have none"),
    ("decode {m}/photos", "say where to write with --out"),
    ("decode {m}/photos --out d", "say which codes"),
    ("decode {m}/photos no.npy --out d", "no file 'no.npy' of codes"),
    ("decode {m}/photos nan.csv --out d.png", "must end in .safetensors, .npz, .npy or .csv, or"),
    ("decode {m}/photos words.txt --out d", "these end in .safetensors"),
    ("decode {m}/photos wide.npy --out d", "codes of shape (2, 5); the model's: (N, 4)"),
    ("decode {m}/photos nan.npy --out d", "the first at index 1"),
    ("decode {m}/photos two.npz --out d", "none is called z"),
    ("decode {m}/photos object.npy --out d", "Python objects"),
    ("decode {m}/photos out.safetensors --out d", "no file can be named so"),
    ("decode {m}/photos good.npy --out d.csv", "are no rows of a table"),
    ("decode {m}/rows good.npy --out d", "are no images"),
    ("decode {m}/classes labels.npz --out d", "y lies in 0..7"),
    ("decode {m}/photos good.npy --seed -1 --out d", "--seed must lie in"),
    ("reconstruct {m}/photos {r}/photos --out r.gif", "'r.gif' must end in .png, .safetensors"),
    ("reconstruct {m}/photos {r}/photos --out r --n 0", "--n must be at least 1"),
    ("reconstruct {m}/photos {r}/photos --out r.csv", "are no rows of a table"),
    ("reconstruct {m}/rows {r}/table.csv --out r", "are no images"),
    ("sample {m}/rows --out s", "are no images"),
    ("sample {m}/photos --out s --n 0", "--n must be at least 1"),
    ("sample {m}/photos --out s --label 0", "takes no labels"),
]


@pytest.mark.parametrize(("line", "hint"), MISTAKES)
def test_a_mistake_gets_one_line_and_leaves_no_file(vaezoo, own, line, hint):
    Path("nan.csv").write_text("a,b,c\n1,2,3\n1,nan,3\n")
    Path("unlabelled.csv").write_text("a,b,c\n1,2,3\n")
    Path("words.txt").write_text("words")
    good = np.zeros((2, 4), dtype=np.float32)
    np.save("good.npy", good)
    np.save("wide.npy", np.zeros((2, 5)))
    np.save("nan.npy", np.array([[0] * 4, [0, np.nan, 0, 0]]))
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez("two.npz", a=good, b=good)
    np.savez("labels.npz", z=good, y=np.array([0, 7]))
    save_file({"z": torch.zeros(2, 4)}, "out.safetensors", {"names": '["../../a.png", "b.png"]'})
    before = {path for path in Path().rglob("*") if path.is_file()}
    error = vaezoo(*line.format(m=own / "models", r=own).split()).error
    assert hint in error
    assert {path for path in Path().rglob("*") if path.is_file()} == before


def test_files_of_one_name_and_two_endings_keep_them():
    assert png_names(["a.jpg", "b.jpg", "a.png"], 3) == ["a.jpg.png", "b.png", "a.png.png"]
    assert png_names(["line 2", "v1.2"], 2) == ["line 2.png", "v1.2.png"]
    assert png_names(["same", "same"], 2) == ["00000.png", "00001.png"]
    assert png_names([], 2) == ["00000.png", "00001.png"]
    for name in ("/etc/a", "..", "a/../../b", "", "a\\b"):
        with pytest.raises(DataError, match="no file can be named so"):
            png_names([name], 1)


def test_a_weights_file_alone_will_do(vaezoo, own, tmp_path):
    shutil.copytree(own / "models/rows", tmp_path / "alone")
    weights = tmp_path / "alone" / "model.safetensors"
    ok(vaezoo("encode", weights, own / "table.csv", "--out", "z.npy"))
    assert np.load("z.npy").shape == (41, 4)
