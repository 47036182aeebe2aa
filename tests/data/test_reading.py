"""A trained model takes its preprocessing along, and reads other files as it read its own."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vaezoo
from vaezoo.data import ImagePreprocessing, TablePreprocessing, original_units, read_for
from vaezoo.errors import CheckpointError, DataError, DataWarning

QUICK: dict[str, Any] = {"steps": 2, "batch_size": 4, "progress": False}


def image(path: Path, size: tuple[int, int] = (20, 30), level: int = 9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 50, 60)).save(path)
    return path


def table(path: Path, n: int = 30, header: str = "a,b,c", seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n, header.count(",") + 1)) * [1.0, 100.0, 7.0][: n and 3]
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def trained(data: Any, variant: str = "vae", **options: Any) -> vaezoo.VAE:
    made = vaezoo.data.as_data(data)
    model = vaezoo.create(
        variant,
        input_shape=made.input_shape,
        latent_dim=2,
        offered={"num_classes": made.num_classes},
        **options,
    )
    vaezoo.fit(model, made, **QUICK)
    return model


def saved(model: vaezoo.VAE, path: Path) -> vaezoo.VAE:
    vaezoo.save(model, path)
    return vaezoo.load(path)


def test_the_preprocessing_is_saved_with_the_weights(tmp_path: Path) -> None:
    model = trained(table(tmp_path / "a.csv"))
    loaded = saved(model, tmp_path / "model")
    assert isinstance(loaded.preprocessing, TablePreprocessing)
    assert loaded.preprocessing == model.preprocessing
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["preprocessing"]["name"] == "standardize"
    assert config["preprocessing"]["columns"] == ["a", "b", "c"]
    vaezoo.save(model, tmp_path / "alone.safetensors")
    assert vaezoo.load(tmp_path / "alone.safetensors").preprocessing == model.preprocessing


def test_other_files_have_the_decimals_of_the_first(tmp_path: Path) -> None:
    point = table(tmp_path / "a.csv")
    comma = tmp_path / "b.csv"
    comma.write_text(point.read_text().replace(",", ";").replace(".", ","))
    options = {"decimal": ",", "validation": 0, "test": 0}
    model = saved(trained({"path": str(comma), **options}), tmp_path / "model")
    x = torch.from_numpy(np.loadtxt(point, delimiter=",", skiprows=1))
    assert torch.allclose(read_for(model, comma).x, model.preprocessing.standardize(x))
    comma.write_text(point.read_text().replace(",", ";"))
    with pytest.raises(vaezoo.DataError, match="decimals follow a comma"):
        read_for(model, comma)


def test_a_table_saved_before_decimals_were_asked_for_still_loads(tmp_path: Path) -> None:
    from vaezoo.data.preprocessing import preprocessing_from_json

    old = {"name": "standardize", "columns": ["a"], "mean": [0.0], "std": [1.0]}
    assert preprocessing_from_json(old).decimal is None


def test_a_model_of_other_data_has_none(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(3,), latent_dim=2)
    vaezoo.fit(model, torch.randn(20, 3), **QUICK)
    assert saved(model, tmp_path / "model").preprocessing is None
    assert "preprocessing" not in json.loads((tmp_path / "model" / "config.json").read_text())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "must be an object with a name, not 3"),
        ({"name": "os.system"}, "unknown preprocessing 'os.system'"),
        ({"name": "standardize", "columns": ["a"], "mean": [0], "std": [0]}, "std"),
        ({"name": "standardize", "columns": ["a"], "mean": [], "std": [1]}, "as many columns"),
        ({"name": "images", "image_size": [0, 3]}, "image_size must be positive"),
        ({"name": "images", "image_size": 3}, "image_size"),
    ],
)
def test_a_damaged_one_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    import safetensors.torch

    model = vaezoo.create("vae", input_shape=(3,), latent_dim=2)
    vaezoo.save(model, tmp_path / "a.safetensors")
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        config = json.loads(file.metadata()["vaezoo"])
    config["preprocessing"] = value
    safetensors.torch.save_file(
        model.state_dict(), tmp_path / "a.safetensors", {"vaezoo": json.dumps(config)}
    )
    with pytest.raises(CheckpointError, match=message):
        vaezoo.load(tmp_path / "a.safetensors")


def test_a_table_is_standardized_as_the_models_own(tmp_path: Path) -> None:
    model = saved(trained(table(tmp_path / "a.csv")), tmp_path / "model")
    other = table(tmp_path / "b.csv", n=5, seed=1)
    shuffled = tmp_path / "shuffled.csv"
    lines = [line.split(",") for line in other.read_text().split()]
    shuffled.write_text(
        "\n".join(f"{c};{x};{b};{a}" for (a, b, c), x in zip(lines, "xyzuvw", strict=True))
    )
    mean, std = (np.array(v) for v in (model.preprocessing.mean, model.preprocessing.std))
    expected = (np.loadtxt(other, delimiter=",", skiprows=1) - mean) / std
    for path in (other, shuffled):
        source = read_for(model, path)
        assert np.allclose(source.x.numpy(), expected, atol=1e-6)
        assert source.names == ("line 2", "line 3", "line 4", "line 5", "line 6")
    assert np.allclose(original_units(model, source.x), expected * std + mean, rtol=1e-6)


def test_a_row_has_a_code_and_a_likelihood_in_either_unit(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    model = saved(trained(path), tmp_path / "model")
    source = read_for(model, path)
    assert model.embed(source.x).shape == (30, 2)
    nats = model.log_likelihood(source.x, samples=10, seed=0)
    assert nats.shape == (30,)
    figures = vaezoo.evaluate(model, path, ["log-likelihood"], seed=0)
    assert figures["split"] == "all"
    assert figures["examples"] == 30
    assert math.isclose(figures["log_det"], -sum(map(math.log, model.preprocessing.std)))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    model = trained(table(tmp_path / "a.csv"))
    with pytest.raises(DataError, match=r"no column 'b'\. .*Available: a, bb, c"):
        read_for(model, table(tmp_path / "b.csv", header="a,bb,c"))


def test_another_standardization_is_refused(tmp_path: Path) -> None:
    model = trained(table(tmp_path / "a.csv"))
    other = table(tmp_path / "b.csv", seed=1)
    with pytest.raises(DataError, match="not by those that the model was trained with"):
        vaezoo.evaluate(model, {"name": "csv", "path": other})
    assert vaezoo.evaluate(model, other)["examples"] == 30


def test_images_are_brought_to_the_models_size_and_mode(tmp_path: Path) -> None:
    for i in range(8):
        image(tmp_path / "own" / f"{i}.png")
    how = {"image_size": 16, "mode": "grey", "resize": "pad"}
    model = saved(trained({"path": tmp_path / "own", **how}), tmp_path / "model")
    assert isinstance(model.preprocessing, ImagePreprocessing)
    assert (model.preprocessing.mode, model.preprocessing.resize) == ("grey", "pad")
    one = image(tmp_path / "other" / "sub" / "b.png", size=(50, 40))
    image(tmp_path / "other" / "a.png", size=(10, 90))
    source = read_for(model, tmp_path / "other")
    assert source.shape == (1, 16, 16)
    assert source.names == ("a.png", "sub/b.png")
    assert torch.equal(read_for(model, one).x[0], source.x[1])
    assert model.reconstruct(source.x).shape == (2, 1, 16, 16)
    assert torch.equal(original_units(model, source.x), source.x)


def test_labels_are_the_models_classes_where_it_takes_them(tmp_path: Path) -> None:
    for i in range(9):
        image(tmp_path / "own" / ("ant", "bee", "cow")[i % 3] / f"{i}.png", (8, 8), level=i)
    model = saved(trained(tmp_path / "own", "cvae"), tmp_path / "model")
    image(tmp_path / "other" / "cow" / "a.png", (8, 8))
    assert read_for(model, tmp_path / "other").y.tolist() == [2]
    image(tmp_path / "other" / "dog" / "a.png", (8, 8))
    with pytest.raises(DataError, match="names the class 'dog', which is none of ant, bee, cow"):
        read_for(model, tmp_path / "other")
    unconditional = saved(trained(tmp_path / "own"), tmp_path / "other-model")
    assert read_for(unconditional, tmp_path / "other").num_classes is None


def test_a_model_of_other_data_takes_images_in_its_own_shape(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    grey = vaezoo.create("vae", input_shape=(1, 12, 10), latent_dim=2)
    assert read_for(grey, tmp_path).shape == (1, 12, 10)
    vectors = vaezoo.create("vae", input_shape=(5,), latent_dim=2)
    with pytest.raises(DataError, match=r"shape \(5,\), which are no images"):
        read_for(vectors, tmp_path)


def test_arrays_lie_as_the_models_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", x)
    model = trained({"path": tmp_path / "a.npy", "channels": "last"})
    loaded = saved(model, tmp_path / "model")
    assert torch.equal(
        read_for(loaded, tmp_path / "a.npy").x, torch.from_numpy(x).permute(0, 3, 1, 2)
    )
    other = vaezoo.create("vae", input_shape=(3, 3, 8), latent_dim=2)  # tells by its shape
    assert read_for(other, tmp_path / "a.npy").shape == (3, 3, 8)
    np.savez(tmp_path / "b.npz", x_train=x[:5], x_test=x[5:], y_train=x[:5, 0, 0, 0])
    assert len(read_for(loaded, tmp_path / "b.npz")) == 12
    np.save(tmp_path / "c.npy", x[..., :2])
    with pytest.raises(DataError, match=r"shape \(2, 3, 8\); the model takes \(3, 3, 8\)"):
        read_for(loaded, tmp_path / "c.npy")


def test_corrupt_files_are_refused_or_skipped(tmp_path: Path) -> None:
    image(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"x")
    model = vaezoo.create("vae", input_shape=(3, 12, 10), latent_dim=2)
    with pytest.raises(DataError, match=r"a\.png"):
        read_for(model, tmp_path)
    with pytest.warns(DataWarning, match="1 of 2 images"):
        assert read_for(model, tmp_path, corrupt="skip").names == ("b.png",)


def test_what_training_skipped_is_skipped_again(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    path.write_text(path.read_text() + "1,,2\n")
    with pytest.warns(DataWarning, match="1 of 31 rows"):
        model = trained({"path": path, "corrupt": "skip"})
    with pytest.warns(DataWarning, match="1 of 31 rows"):
        assert len(read_for(model, path)) == 30
    with pytest.raises(DataError, match="column 'b' holds nothing"):
        read_for(model, path, corrupt="refuse")


def test_what_is_not_there_or_not_read_is_said(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(3, 12, 10), latent_dim=2)
    with pytest.raises(DataError, match="no file or folder 'no-such'"):
        read_for(model, "no-such")
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(DataError, match=r"no dataset reads .*a\.xyz"):
        read_for(model, tmp_path / "a.xyz")


@pytest.mark.parametrize("kind", [str, Path])
def test_fit_takes_a_path_and_so_does_evaluate(tmp_path: Path, kind: Any) -> None:
    path = kind(os.fspath(table(tmp_path / "a.csv")))
    model = vaezoo.create("vae", input_shape=(3,), latent_dim=2)
    vaezoo.fit(model, path, out=tmp_path / "run", **QUICK)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["name"] == "csv"
    assert config["data"]["options"]["path"] == str(tmp_path / "a.csv")
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert (figures["data"], figures["split"]) == ("a", "test")
    assert vaezoo.evaluate(model, path)["split"] == "all"
