"""``vaezoo data``, and data of one's own from training to evaluation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import SMALL
from PIL import Image

import vaezoo as zoo
from vaezoo.cli.plan import make_plan
from vaezoo.data import ImagePreprocessing, TablePreprocessing


def photos(folder, n=24, classes=("",)):
    """Images of mixed sizes."""
    for i in range(n):
        path = Path(folder) / classes[i % len(classes)] / f"{i:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + i % 3, 16), (10 * i, 100, 50)).save(path)
    return Path(folder)


def table(path, n=40, columns=3):
    x = np.random.default_rng(0).normal(size=(n, columns)) * 50 + 7
    header = ",".join(f"c{i}" for i in range(columns))
    lines = [f"{','.join(map(str, row))},{'ab'[i % 2]}" for i, row in enumerate(x)]
    Path(path).write_text("\n".join([f"{header},kind", *lines]) + "\n")
    return Path(path)


def shown(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_alone_it_lists_the_datasets_and_what_they_read(vaezoo):
    out = vaezoo("data").out
    for part in ("\nmnist ", "\ntiny ", "\nimage-folder ", "*.safetensors", "*.csv"):
        assert part in out
    listed = {spec["name"]: spec for spec in shown(vaezoo("data", "--json"))}
    assert listed["csv"]["reads"] == ["*.csv", "*.tsv"]


def test_a_dataset_is_shown_with_its_splits_values_labels_and_a_contact_sheet(vaezoo):
    result = vaezoo("data", "tiny")
    assert result.code == 0
    for part in (
        "shape       1x8x8 float32",
        "train       64 examples: 64 random examples",
        "of 64 training examples",
        "labels      3 classes",
        "factors     none",
        "picture     data-tiny.png",
    ):
        assert part in result.out
    assert [line.split() for line in result.out.splitlines() if line[:1].isdigit()] == [
        ["0", "a", "22", "6", "6"],
        ["1", "b", "21", "5", "5"],
        ["2", "c", "21", "5", "5"],
    ]
    assert Path("data-tiny.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_as_json(vaezoo):
    found = shown(vaezoo("data", "tiny", "--json", "--out", "new/sheet.png"))
    assert found["shape"] == [1, 8, 8]
    assert found["splits"]["validation"] == {"size": 16, "rule": "16 random examples"}
    assert found["labels"][1] == {
        "label": 1,
        "name": "b",
        "train": 21,
        "validation": 5,
        "test": 5,
    }
    assert 0 <= found["values"]["min"] < found["values"]["mean"] < found["values"]["max"] <= 1
    assert found["picture"] == "new/sheet.png"
    assert Path("new/sheet.png").exists()


def test_factors_and_options_of_a_dataset(vaezoo):
    found = shown(vaezoo("data", "sprites", "--data.test", 3, "--json"))
    assert found["factors"] == {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
    assert found["splits"]["test"]["size"] == 3
    assert found["options"] == {"validation": 2000, "test": 3}
    assert found["looked_at"]["train"] == 50_000


def test_vectors_have_a_table_of_their_columns_in_the_units_of_the_file(vaezoo):
    path = table("a.csv")
    found = shown(vaezoo("data", path, "--data.label", "kind", "--json"))
    assert found["picture"] is None
    assert [label["name"] for label in found["labels"]] == ["a", "b"]
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2))
    assert [column["name"] for column in found["columns"]] == ["c0", "c1", "c2"]
    for i, column in enumerate(found["columns"]):
        assert values[:, i].min() - 1e-3 <= column["min"] < column["max"]
        assert 30 < column["std"] < 70
    text = vaezoo("data", path, "--data.drop", "kind").out
    assert "\ncolumn  min" in text
    assert not list(Path().glob("*.png"))


def test_a_folder_is_shown_as_training_would_read_it(vaezoo):
    photos("holiday", classes=("sea", "hills"))
    found = shown(vaezoo("data", "holiday", "--image-size", 8, "--json"))
    assert (found["name"], found["title"], found["shape"]) == (
        "image-folder",
        "holiday",
        [3, 8, 8],
    )
    assert found["picture"] == "data-holiday.png"
    assert sum(label["train"] for label in found["labels"]) == found["splits"]["train"]["size"]


MISTAKES = [
    ("data mnits", "Did you mean 'mnist'?"),
    ("data no/such", "no file or folder 'no/such'"),
    ("data --jsn", "the name or path comes first"),
    ("data tiny --out a.jpg", "must end in .png"),
    ("data tiny --image-size 3", "the data tiny have no option 'image-size'"),
    ("data tiny tinier", "unexpected argument 'tinier'"),
    ("data sprites --data.tset 3", "Did you mean 'test'?"),
    ("data sprites --data.test x", "--data.test takes an integer, not 'x'"),
    ("data photos", "--image-size 64"),
    ("data photos --image-size 0", "image_size must be positive"),
    ("data photos --image-size", "--data.image-size needs a value"),
    ("train vae --data photos", "00.jpg is 16x20, 01.jpg is 16x21"),
    ("train vae --data photos --data.resize squash", "--data.resize cannot be 'squash'"),
    ("train vae --data photo/s", "no file or folder 'photo/s'"),
    ("train vae --data mnist --image-size 8", "have no option 'image-size'"),
    ("train vae --data csv", "needs the option 'path'"),
    ("eval . --data no/such", "no file or folder 'no/such'"),
    ("reconstruct . --data mnits", "Did you mean 'mnist'?"),
]


@pytest.mark.parametrize(("line", "hint"), MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(vaezoo, line, hint):
    photos("photos", 5)
    assert hint in vaezoo(*line.split()).error
    assert not Path("runs").exists()


def test_a_corrupt_file_is_refused_or_skipped_with_a_word(vaezoo):
    photos("photos")
    Path("photos/05.jpg").write_bytes(Path("photos/05.jpg").read_bytes()[:-20])
    line = ["data", "photos", "--image-size", 8, "--json"]
    assert "05.jpg" in vaezoo(*line).error
    result = vaezoo(*line, "--data.corrupt", "skip")
    assert result.err.startswith("vaezoo: warning: 1 of 24 images in ")
    assert len(result.err.splitlines()) == 1
    assert shown(result)["skipped"] == 1


def test_wrong_names_are_told_without_importing_torch():
    code = (
        "import sys; from vaezoo.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code if 'torch' not in sys.modules else 9)"
    )
    for line, expected in ((["data", "mnits"], 2), (["data", "a/b"], 2), (["data"], 0)):
        done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True)
        assert done.returncode == expected, line


def test_a_folder_goes_from_training_to_reconstructions_of_another(vaezoo):
    photos("holiday", classes=("sea", "hills"))
    line = ["train", "vae", "--data", "holiday", "--image-size", 8, *SMALL]
    assert vaezoo(*line).code == 0
    run = Path("runs/vae-holiday")
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["name"] == "image-folder"
    assert config["data"]["options"]["path"] == str(Path("holiday").resolve())
    assert zoo.load(run).preprocessing == ImagePreprocessing(
        image_size=(8, 8), classes=("hills", "sea")
    )
    again = shown(vaezoo("eval", run, "--json"))
    assert (again["data"], again["split"], again["examples"]) == ("holiday", "test", 2)
    photos("other", 7)
    other = shown(vaezoo("eval", run / "model", "--data", "other", "--json"))
    assert (other["data"], other["split"], other["examples"]) == ("other", "all", 7)
    picture = vaezoo("reconstruct", run, "--data", "other", "--out", "other.png")
    assert picture.code == 0
    assert vaezoo(*line, "--resume").err.endswith("is finished already\n")
    resumed = vaezoo(*line, "--resume", "--image-size", 9)
    assert "model.shared.input_shape" in resumed.error
    assert "another data" in vaezoo(*line[:3], "other", "--resume", "--out", run).error


def test_a_csv_goes_from_training_to_figures_in_either_unit(vaezoo):
    table("a.csv")
    line = ["train", "vae", "--data", "a.csv", "--data.drop", "kind", *SMALL]
    assert vaezoo(*line).code == 0
    run = Path("runs/vae-a")
    preprocessing = zoo.load(run).preprocessing
    assert isinstance(preprocessing, TablePreprocessing)
    found = shown(vaezoo("eval", run, "--json"))
    assert found["log_det"] == preprocessing.log_det
    assert shown(vaezoo("eval", run, "--data", "a.csv", "--json"))["examples"] == 40
    text = vaezoo("eval", run).out
    assert "log-det" in text
    assert "with log-det added, of the values in the file's own units" in text


def test_data_that_have_changed_since_are_told(vaezoo):
    photos("holiday")
    line = ["train", "vae", "--data", "holiday", "--image-size", 8, *SMALL]
    assert vaezoo(*line).code == 0
    Image.new("RGB", (20, 16)).save("holiday/99.jpg")
    result = vaezoo("eval", "runs/vae-holiday")
    assert result.code == 0
    assert "holiday has changed since runs/vae-holiday was trained on it" in result.err
    for path in Path("holiday").iterdir():
        path.unlink()
    Path("holiday").rmdir()
    assert "say what data to use with --data" in vaezoo("eval", "runs/vae-holiday").error


def test_options_of_a_dataset_are_kept_by_the_run(vaezoo):
    line = ["train", "vae", "--data", "sprites", "--data.test", 40, "--data.validation", 30]
    assert vaezoo(*line, *SMALL, "--lr-warmup-steps", 0).code == 0
    assert shown(vaezoo("eval", "runs/vae-sprites", "--json"))["examples"] == 40
    plan = make_plan(["--resume", "--out", "runs/vae-sprites"])
    assert plan.target.choice == {"name": "sprites", "test": 40, "validation": 30}


def test_the_help_of_training_shows_the_options_of_the_data(vaezoo):
    photos("photos", 3)
    out = vaezoo("train", "vae", "--data", "photos", "--help").out
    for flag in ("--data.image-size", "--data.corrupt", "--data.validation"):
        assert flag in out


def test_an_unforeseen_fault_is_one_line_and_exit_code_1(vaezoo, monkeypatch):
    def bug(*arguments):
        raise RuntimeError("a bug\nof two lines")

    monkeypatch.setattr("vaezoo.registry.lookup.specs", bug)
    result = vaezoo("data")
    assert result.code == 1
    assert result.err == (
        "vaezoo: error: unexpected RuntimeError: a bug of two lines; --debug shows where it "
        "comes from\n"
    )
    debugged = vaezoo("data", "--debug")
    assert debugged.code == 1
    assert "Traceback" in debugged.err
    assert debugged.err.splitlines()[-1].endswith("unexpected RuntimeError: a bug of two lines")


def test_no_contact_sheet_is_put_among_the_images(vaezoo, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        Image.new("RGB", (9, 9), (60 * i, 0, 0)).save(folder / f"{i}.png")
    monkeypatch.chdir(folder)
    result = vaezoo("data", ".")
    assert result.code == 0, result.err
    assert "--out" in result.err
    assert len([*folder.iterdir()]) == 4
    assert vaezoo("data", ".", "--out", tmp_path / "sheet.png").code == 0
    assert (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("said", ["--data.header yes", "--data.header True", "--data.header"])
def test_a_header_of_numbers_is_said_as_people_say_it(vaezoo, tmp_path, said):
    (tmp_path / "t.csv").write_text("2019,2020,2021\n" + "1,4,9\n2,5,7\n" * 10)
    assert "\n2019 " in vaezoo("data", "t.csv", *said.split()).out
    assert "\n2019 " not in vaezoo("data", "t.csv", "--data.no-header").out


def test_a_run_keeps_what_was_said_of_the_header(vaezoo, tmp_path):
    (tmp_path / "t.csv").write_text("2019,2020,2021\n" + "1,4,9\n2,5,7\n" * 10)
    line = ["train", "vae", "--data", "t.csv", "--set", "data.header=true", "steps=1"]
    assert vaezoo(*line, "--batch-size", 4).code == 0
    config = json.loads(Path("runs/vae-t/config.json").read_text())
    assert config["model"]["preprocessing"]["columns"] == ["2019", "2020", "2021"]
    assert vaezoo("train", "--resume", "--out", "runs/vae-t", "--steps", 2).code == 0


def test_another_word_for_a_header_is_refused(vaezoo, tmp_path):
    (tmp_path / "t.csv").write_text("1,2\n3,4\n")
    assert (
        "header must be auto, yes or no, not 'maybe'"
        in vaezoo("data", "t.csv", "--data.header", "maybe").error
    )


def test_decimals_after_a_comma_come_back_so(vaezoo, tmp_path):
    rows = "\n".join(f"{i},5;{i * i},25" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a;b\n{rows}\n")
    assert "(--data.decimal ,)" in vaezoo("data", "t.csv").error
    small = ["--steps", "2", "--batch-size", "4", "--model.latent-dim", "2"]
    line = ["train", "vae", "--data", "t.csv", "--data.decimal", ",", *small]
    assert vaezoo(*line).code == 0
    assert vaezoo("sample", "runs/vae-t", "--n", 3, "--out", "s.csv").code == 0
    header, *made = Path("s.csv").read_text().splitlines()
    assert header == "a;b"
    assert all("." not in row and row.count(";") == 1 for row in made)
    assert vaezoo("score", "runs/vae-t", "s.csv", "--samples", 2).code == 0
