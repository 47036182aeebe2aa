"""The TensorBoard log: what event files hold, also of runs that were cut off and resumed."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_helpers import QUICK, Stop, images, interrupt_at, same, small, train, weights

import vaezoo
from vaezoo.data import as_data, named_splits
from vaezoo.shown import Shown
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.tensorboard import TensorBoard, wait_for_a_name


def events(run: Path) -> Any:
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def scalars(run: Path) -> dict[tuple[str, int], list[float]]:
    """The values of each tag and step; more than one would be an overlap."""
    found: dict[tuple[str, int], list[float]] = {}
    log = events(run)
    for tag in log.Tags()["scalars"]:
        for event in log.Scalars(tag):
            found.setdefault((tag, event.step), []).append(event.value)
    return found


def steps_of_images(run: Path) -> dict[str, list[int]]:
    log = events(run)
    return {tag: [event.step for event in log.Images(tag)] for tag in log.Tags()["images"]}


def expected(run: Path) -> dict[tuple[str, int], list[float]]:
    return {
        (f"{record['split']}/{name}", record["step"]): [pytest.approx(value, rel=1e-6)]
        for record in RunFolder(run).records()
        for name, value in record.items()
        if name not in ("split", "step") and value is not None
    }


SIZES = {"train": 24, "validation": 8, "test": 8}
VALIDATIONS = {"validation/reconstructions": [10, 20, 30], "validation/samples": [10, 20, 30]}


def test_scalars_are_the_metrics_and_images_those_of_validations_and_the_end(
    tmp_path: Path,
) -> None:
    train(small(), tmp_path, log="tensorboard")
    assert scalars(tmp_path) == expected(tmp_path)
    assert ("validation/elbo", 20) in scalars(tmp_path)
    found = steps_of_images(tmp_path)
    assert {tag: found.pop(tag) for tag in VALIDATIONS} == VALIDATIONS
    pictures = [path.stem for path in (tmp_path / "samples").glob("*.png")]
    assert found == {f"pictures/{name}": [31] for name in pictures}


def test_validations_show_validation_examples_and_not_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    original = vaezoo.pictures.reconstructions

    def remember(*arguments: Any, of: str, **options: Any) -> Image.Image:
        said.append(of)
        return original(*arguments, of=of, **options)

    monkeypatch.setattr(vaezoo.pictures, "reconstructions", remember)
    parts = {name: (as_data(images(n)).train, "") for name, n in SIZES.items()}
    vaezoo.fit(small(), named_splits("mine", parts), out=tmp_path, log="tensorboard", steps=4,
               validate_every=2, **QUICK)  # fmt: skip
    assert said == ["mine, validation split"] * 2 + ["mine, test split"]


def test_images_are_those_of_the_files(tmp_path: Path) -> None:
    train(small(), tmp_path, log="tensorboard")
    (event,) = events(tmp_path).Images("pictures/kl")
    logged, saved = io.BytesIO(event.encoded_image_string), tmp_path / "samples" / "kl.png"
    with Image.open(logged) as a, Image.open(saved) as b:
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("crash", [3, 17])
def test_a_resumed_run_logs_every_step_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, crash)
        with pytest.raises(Stop):
            train(small(), tmp_path, log="tensorboard", checkpoint_every=5)
    train(small(), tmp_path, log="tensorboard", checkpoint_every=5, resume=True)
    assert scalars(tmp_path) == expected(tmp_path)
    found = steps_of_images(tmp_path)
    assert {tag: found[tag] for tag in VALIDATIONS} == VALIDATIONS
    assert found["pictures/kl"] == [31]


def test_a_new_file_comes_last_in_the_order_of_names(tmp_path: Path) -> None:
    """Of files of one second the tenth would come before the ninth."""
    now = int(time.time())
    for uid in (9, 10):
        (tmp_path / f"events.out.tfevents.{now:010d}.host.1.{uid}").touch()
    wait_for_a_name(tmp_path)
    assert int(time.time()) > now
    started = time.perf_counter()
    wait_for_a_name(tmp_path)
    assert time.perf_counter() - started < 0.5


def test_resuming_a_finished_run_does_not_repeat_its_pictures(tmp_path: Path) -> None:
    for resume in (False, True):
        train(small(), tmp_path, log="tensorboard", resume=resume)
    assert scalars(tmp_path) == expected(tmp_path)
    assert steps_of_images(tmp_path)["pictures/kl"] == [31]


def test_a_run_made_longer_goes_on_where_it_ended(tmp_path: Path) -> None:
    train(small(), tmp_path, log="tensorboard")
    train(small(), tmp_path, log="tensorboard", resume=True, steps=40)
    assert scalars(tmp_path) == expected(tmp_path)
    found = steps_of_images(tmp_path)
    assert found["validation/samples"] == [10, 20, 30, 40]
    assert found["pictures/kl"] == [41]


def test_a_stream_is_logged(tmp_path: Path) -> None:
    batches = [images(8, seed=i) for i in range(6)]
    vaezoo.fit(small(), iter(batches), steps=4, log="tensorboard", out=tmp_path,
               validation=images(8), **QUICK)  # fmt: skip
    assert scalars(tmp_path) == expected(tmp_path)


def test_a_run_may_be_resumed_with_or_without_a_log(tmp_path: Path) -> None:
    train(small(), tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    train(small(), tmp_path, log="tensorboard", resume=True)
    assert (tmp_path / "tensorboard").exists()
    train(small(), tmp_path, resume=True)


def test_overwriting_a_run_removes_its_log(tmp_path: Path) -> None:
    train(small(), tmp_path, log="tensorboard")
    train(small(), tmp_path, overwrite=True)
    assert not (tmp_path / "tensorboard").exists()


def test_the_log_changes_nothing_of_training(tmp_path: Path) -> None:
    plain, logged = small(), small()
    train(plain, tmp_path / "plain")
    train(logged, tmp_path / "logged", log="tensorboard")
    assert same(weights(plain), weights(logged))
    config = json.loads((tmp_path / "logged" / "config.json").read_text())
    assert config["training"]["log"] == "tensorboard"


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    data = as_data(torch.rand(8, 5))
    shown = Shown(model=small(), data=data, split="train", binarization="none")
    board = TensorBoard(tmp_path / "tensorboard", shown)
    board.start(0, 10)
    broken = {"loss": math.nan, "kl": math.inf, "elbo": None, "word": "no figure"}
    board.record({"split": "train", "step": 3, "reconstruction": -2.0, **broken})
    board.stop()
    assert scalars(tmp_path) == {("train/reconstruction", 3): [-2.0]}


def test_a_model_that_makes_no_samples_is_logged_without(tmp_path: Path) -> None:
    model = small()

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise vaezoo.NoBoundError("no prior")

    model.sample = refuse  # type: ignore[method-assign]
    data = as_data(images())
    shown = Shown(model=model, data=data, split="validation", binarization="none")
    board = TensorBoard(tmp_path / "tensorboard", shown)
    board.start(0, 10)
    board.record({"split": "validation", "step": 3, "loss": 1.0})
    board.stop()
    assert steps_of_images(tmp_path) == {"validation/reconstructions": [3]}


def test_vectors_have_scalars_and_charts_but_no_sheets(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(5,), likelihood="gaussian", latent_dim=2)
    x = torch.randn(64, 5)
    vaezoo.fit(model, x, steps=4, log="tensorboard", out=tmp_path, **QUICK)
    assert scalars(tmp_path) == expected(tmp_path)
    charts = {"training_curve", "columns", "codes", "kl"}
    assert set(steps_of_images(tmp_path)) == {f"pictures/{name}" for name in charts}


def test_without_the_package_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaezoo.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(vaezoo.MissingRequirementError, match=r"pip install 'vaezoo\[tensorb"):
        train(small(), tmp_path / "run", log="tensorboard")
    assert not (tmp_path / "run").exists()


def test_a_log_needs_a_folder_and_a_known_name(tmp_path: Path) -> None:
    with pytest.raises(vaezoo.OptionError, match=r"log 'tensorboard' .* give out"):
        vaezoo.fit(small(), images(), steps=1, log="tensorboard", **QUICK)
    with pytest.raises(vaezoo.OptionError, match="option 'log'"):
        vaezoo.fit(small(), images(), steps=1, log="tensorbord", out=tmp_path, **QUICK)


def test_tensorboard_is_imported_only_where_it_is_asked_for() -> None:
    assert importlib.util.find_spec("tensorboard")
    code = "import sys, vaezoo; vaezoo.fit; sys.exit('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
