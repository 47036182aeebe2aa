"""Commands on files of one's own: what is skipped, what has changed, and advice that can be
followed there."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMANDS = {
    "score": ["--samples", "1", "--out", "out.csv"],
    "encode": ["--out", "out.csv"],
    "reconstruct": ["--out", "out.csv"],
    "eval": [],
}
QUICK = ["--steps", "2", "--batch-size", "4", "--model.latent-dim", "2"]


def write(path: str, n: int = 40, seed: int = 0, extra: str = "") -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    lines = [",".join(f"{value:.4f}" for value in row) for row in rows]
    Path(path).write_text("\n".join(["a,b,c", *lines]) + "\n" + extra)


def names(path: str = "out.csv") -> list[str]:
    with Path(path).open(newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


@pytest.fixture
def run(vaezoo):
    """A run on the table own.csv."""
    write("own.csv")
    result = vaezoo("train", "vae", "--data", "own.csv", "--out", "run", *QUICK)
    assert result.code == 0, result.err
    return "run"


def line(command: str, *rest: str) -> list[str]:
    flag = ["--data"] if command == "eval" else []
    return [command, "run", *flag, *rest, *COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_rows_that_cannot_be_read_are_skipped_where_asked(vaezoo, run, command):
    write("new.csv", 4, extra="1,,2\n1,2,3\n")
    error = vaezoo(*line(command, "new.csv")).error
    assert "line 6, column 'b' holds nothing; repair it" in error
    assert set(re.findall(r"--[a-z.-]+", error)) == {"--data.corrupt"}
    result = vaezoo(*line(command, "new.csv"), "--data.corrupt", "skip")
    assert result.code == 0, result.err
    assert "1 of 6 rows" in result.err
    if command != "eval":
        assert names() == ["line 2", "line 3", "line 4", "line 5", "line 7"]


@pytest.mark.parametrize("command", COMMANDS)
def test_images_that_cannot_be_read_are_skipped_where_asked(vaezoo, command):
    Path("photos").mkdir()
    for i in range(20):
        Image.new("L", (8, 8), i * 10).save(f"photos/{i:02}.png")
    train = ["train", "vae", "--data", "photos", "--out", "run", *QUICK]
    assert vaezoo(*train).code == 0
    Path("photos/bad.png").write_bytes(b"no image")
    out = ["--out", "out.npz"] if command == "reconstruct" else []
    asked = [*line(command, "photos"), *out]
    assert "--data.corrupt skip" in vaezoo(*asked).error
    result = vaezoo(*asked, "--data.corrupt", "skip")
    assert result.code == 0, result.err
    assert "bad.png" in result.err


def test_decimals_are_the_models(vaezoo, run):
    Path("new.csv").write_text("a;b;c\n1,5;2,5;3,5\n")
    error = vaezoo("encode", "run", "new.csv", "--out", "z.csv").error
    assert "decimals follow a point here, which cannot be changed: convert the file" in error
    assert "--data.decimal" not in error


def test_the_runs_own_file_may_have_gone_bad(vaezoo, run):
    text = Path("own.csv").read_text()
    Path("own.csv").write_text(text + "1,,2\n")
    error = vaezoo("encode", "run", "--out", "z.csv").error
    assert "holds nothing; repair it or skip such rows with corrupt='skip'" in error
    assert "--data.drop" not in error
    assert "--data.label" not in error


@pytest.mark.parametrize("cell", ["nan", "inf"])
def test_what_is_no_finite_number_has_nothing_to_do_with_decimals(vaezoo, cell):
    write("own.csv", extra=f"1,{cell},2\n")
    error = vaezoo("train", "vae", "--data", "own.csv", *QUICK).error
    assert f"'{cell}', which is no finite number; repair it" in error
    assert "decimal" not in error


def test_codes_are_advised_what_decode_takes(vaezoo, run):
    Path("z.csv").write_text("z0,z1\n1,2\n1,\n")
    error = vaezoo("decode", "run", "z.csv", "--out", "x.csv").error
    assert error.endswith("line 3, column 'z1' holds nothing; repair it")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_whose_table_has_changed_says_how_to_read_it_now(vaezoo, run, command):
    write("own.csv", seed=1)
    path = Path("own.csv").resolve()
    error = vaezoo(*[part for part in line(command) if part != "--data"]).error
    assert error.startswith(f"{path} has changed since run was trained on it")
    assert f"give it as --data {path}, and all its rows are read with the model's" in error
    result = vaezoo(command, "run", "--data", path, *COMMANDS[command])
    assert result.code == 0, result.err


def test_a_run_is_not_resumed_on_a_changed_table_and_no_means_are_listed(vaezoo, run):
    write("own.csv", seed=1)
    error = vaezoo("train", "--resume", "--out", "run", "--steps", "4").error
    assert "model.preprocessing.mean has other numbers" in error
    assert "its data have changed since it began" in error
    assert "[" not in error


def test_a_switch_with_a_value_is_answered_with_the_switch_that_says_no(vaezoo):
    write("own.csv")
    error = vaezoo("train", "vae", "--data", "own.csv", "--data.standardize", "no").error
    assert "say --data.standardize or --data.no-standardize." in error


def test_one_image_can_be_encoded(vaezoo):
    Path("photos").mkdir()
    for i in range(20):
        Image.new("L", (8, 8), i * 10).save(f"photos/{i:02}.png")
    assert vaezoo("train", "vae", "--data", "photos", "--out", "run", *QUICK).code == 0
    result = vaezoo("encode", "run", "photos/03.png", "--out", "out.csv")
    assert result.code == 0, result.err
    assert names() == ["03.png"]


def test_values_of_a_huge_scale_are_warned_of(vaezoo):
    lines = [f"{i * 1e4},{i}" for i in range(41)]
    Path("own.csv").write_text("\n".join(["a,b", *lines]) + "\n")
    train = ["train", "vae", "--data", "own.csv", *QUICK, "--overwrite"]
    assert "reach" not in vaezoo(*train).err
    told = vaezoo(*train, "--data.no-standardize").err
    assert "values of 'own' reach 4e+05" in told
    assert "--data.standardize" in told
    np.save("own.npy", np.arange(80, dtype=np.float32).reshape(40, 2) * 1e4)
    told = vaezoo(
        "train", "vae", "--data", "own.npy", "--model.likelihood", "gaussian", *train[4:]
    ).err
    assert "standardize each column, (x - mean) / std" in told
    assert "--data.standardize" not in told
