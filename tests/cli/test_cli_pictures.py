"""``vaezoo interpolate`` and ``vaezoo pictures``, and the log for TensorBoard."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from vaezoo.pictures import text

SHEETS = {"reconstructions", "samples", "traversals", "interpolations", "manifold"}
ALL = {"training_curve", *SHEETS, "codes", "kl"}


def height(path):
    with Image.open(path) as picture:
        return picture.size[1]


@pytest.fixture
def said(monkeypatch):
    """The captions that are drawn."""
    captions = []
    original = text.wrap
    monkeypatch.setattr(
        text, "wrap", lambda words, *rest: captions.append(words) or original(words, *rest)
    )
    return captions


def test_interpolate_draws_both_ways_or_the_one_that_is_asked_for(vaezoo, trained, said):
    run = trained["vae"]
    assert vaezoo("interpolate", run).out == f"{run / 'samples' / 'interpolations.png'}\n"
    assert any("linear (in a straight line) and spherical (on an arc" in s for s in said)
    said.clear()
    vaezoo("interpolate", run, "--mode", "spherical", "--n", 2, "--out", "one.png")
    caption = next(s for s in said if s.startswith("Interpolations"))
    assert "straight" not in caption
    assert caption.endswith("; tiny, test split, binarized (static)")
    vaezoo("interpolate", run, "--n", 2, "--out", "both.png")
    assert height("both.png") > height("one.png")


def test_interpolate_takes_two_examples_and_steps(vaezoo, trained):
    run = trained["vae"]
    for name, index in (("a", (0, 5)), ("b", (0, 5)), ("c", (5, 0))):
        out = f"{name}.png"
        line = ["--index", *index, "--steps", 3, "--out", out]
        assert vaezoo("interpolate", run, *line).out == f"{out}\n"
    with Image.open("a.png") as a, Image.open("b.png") as b, Image.open("c.png") as c:
        assert a.tobytes() == b.tobytes()
        assert a.tobytes() != c.tobytes()


def test_interpolate_of_a_model_with_labels_stays_within_a_class(vaezoo, trained):
    run = trained["cvae"]
    assert vaezoo("interpolate", run, "--out", "a.png").code == 0
    assert vaezoo("interpolate", run, "--index", 0, 3, "--out", "a.png").code == 0
    error = vaezoo("interpolate", run, "--index", 0, 4, "--out", "a.png").error
    assert "must be of one class, not of 0 and 1" in error


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--index 0 16", "--index must lie in 0..15, not 16"),
        ("--index 3", "--index takes 2 values, each an integer, not '3'"),
        ("--steps 1", "at least its 2 ends as steps, not 1"),
        ("--n 0", "--n must be at least 1"),
        ("--mode sphere", "Did you mean 'spherical'"),
        ("--data tinny", "Did you mean 'tiny'"),
        ("--out picture.jpg", "must end in .png"),
    ],
)
def test_interpolate_refuses_what_is_not_there(vaezoo, trained, line, hint):
    assert hint in vaezoo("interpolate", trained["vae"], *line.split()).error


@pytest.mark.parametrize("variant", ["vae", "cvae"])
def test_pictures_are_those_that_the_run_ended_with_byte_for_byte(
    vaezoo, trained, tmp_path, variant
):
    run = trained[variant]
    out = vaezoo("pictures", run, "--out", tmp_path / "new").out
    written = [tmp_path / "new" / f"{name}.png" for name in ALL]
    assert sorted(out.splitlines()) == sorted(map(str, written))
    for path in written:
        assert path.read_bytes() == (run / "samples" / path.name).read_bytes()


def test_pictures_of_a_run_from_before_there_were_any_go_to_its_samples(vaezoo, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained["vae"], run)
    shutil.rmtree(run / "samples")
    assert vaezoo("pictures", run).code == 0
    assert {path.stem for path in (run / "samples").iterdir()} == ALL
    assert vaezoo("pictures", run / "model").code == 0


def test_pictures_leave_other_files_alone(vaezoo, trained, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    vaezoo("pictures", trained["vae"], "--out", tmp_path / "kept")
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine"


def test_pictures_of_a_model_alone_need_data_and_a_folder(vaezoo, trained, tmp_path):
    shutil.copytree(trained["vae"] / "model", tmp_path / "bare")
    assert "say where to with --out" in vaezoo("pictures", tmp_path / "bare").error
    assert "--data" in vaezoo("pictures", tmp_path / "bare", "--out", "p").error
    out = vaezoo("pictures", tmp_path / "bare", "--data", "tiny", "--out", "p").out
    assert {line.split("/")[-1] for line in out.split()} == {f"{n}.png" for n in ALL} - {
        "training_curve.png"
    }


def test_pictures_refuse_what_is_no_folder_and_unknown_data(vaezoo, trained, tmp_path):
    (tmp_path / "file").write_text("")
    assert "must name a folder" in vaezoo("pictures", trained["vae"], "--out", "file").error
    assert "Did you mean 'tiny'" in vaezoo("pictures", trained["vae"], "--data", "tinny").error
    assert "say which model" in vaezoo("pictures").error


def test_vectors_have_charts(vaezoo):
    line = "train vae --data tiny-rows --steps 2 --batch-size 8 --model.latent-dim 2"
    out = vaezoo(*line.split()).out
    names = ["codes", "columns", "kl", "training_curve"]
    assert [row.split("/")[-1] for row in out.splitlines() if row.startswith("picture")] == [
        f"{name}.png" for name in names
    ]
    assert vaezoo("pictures", "runs/vae-tiny-rows").code == 0
    assert "draws images" in vaezoo("interpolate", "runs/vae-tiny-rows").error


def test_a_run_is_logged_for_tensorboard_if_asked(vaezoo, tmp_path):
    line = "train vae --data tiny --steps 2 --batch-size 8 --model.latent-dim 2 --out run"
    assert vaezoo(*line.split(), "--log", "tensorboard").code == 0
    assert [*(tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")]
    assert "Did you mean 'tensorboard'" in vaezoo(*line.split(), "--log", "tensorbord").error
