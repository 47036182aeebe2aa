"""Runs: their folder, their checkpoints, and resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import (
    QUICK,
    Stop,
    images,
    interrupt_at,
    same,
    small,
    train,
    weights,
)

import vaezoo
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.step import TrainingStep


@pytest.mark.parametrize("crash", [3, 10, 17, 29])
@pytest.mark.parametrize("sigma", ["optimal", None])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int, sigma: str | None
) -> None:
    likelihood = {"name": "gaussian", "sigma": sigma} if sigma else "bernoulli"
    whole = small(likelihood=likelihood)
    expected = train(whole, tmp_path / "whole", checkpoint_every=5)
    with monkeypatch.context() as patch:
        interrupt_at(patch, crash)
        with pytest.raises(Stop):
            train(small(likelihood=likelihood), tmp_path / "cut", checkpoint_every=5)
    resumed = small(likelihood=likelihood)
    history = train(resumed, tmp_path / "cut", checkpoint_every=5, resume=True)
    assert same(weights(resumed), weights(whole))

    def figures(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        clocks = ("examples_per_second", "seconds", "seconds_left")
        return [{k: v for k, v in r.items() if k not in clocks} for r in records]

    assert figures(history.records) == figures(expected.records)
    assert figures(RunFolder(tmp_path / "cut").records()) == figures(expected.records)
    last = [RunFolder(tmp_path / name).checkpoints / "step-00000030" for name in ("whole", "cut")]
    contents = [(path / "state.safetensors").read_bytes() for path in last]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("network", ["conv", "resnet"])
def test_a_convolutional_run_resumes_to_the_same_weights(tmp_path: Path, network: str) -> None:
    """Their weights lie in memory as channels_last, which a file does not keep."""
    x = (torch.rand(48, 3, 8, 8) > 0.5).float()
    models = []
    for steps in ([12], [5, 12]):
        for number, until in enumerate(steps):
            torch.manual_seed(0)
            model = vaezoo.create("vae", input_shape=(3, 8, 8), network=network, latent_dim=2)
            options = {"learning_rate": 1e-2, "out": tmp_path / str(len(steps)), **QUICK}
            vaezoo.fit(model, x, steps=until, validation=0, resume=number > 0, **options)
        models.append(model)
    assert same(weights(models[0]), weights(models[1]))


SCRIPT = """
import sys, torch, vaezoo
torch.set_num_threads(1)
torch.manual_seed(0)
x = (torch.rand(64, 1, 6, 5) > 0.5).float()
model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=3)
vaezoo.fit(model, x, steps=int(sys.argv[2]), batch_size=8, validate_every=20, log_every=20,
           checkpoint_every=20, out=sys.argv[1], resume="resume" in sys.argv, progress=False)
"""


def run_script(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, *arguments]


def test_a_run_killed_with_sigkill_resumes_to_the_same_weights(tmp_path: Path) -> None:
    steps = "4000"
    process = subprocess.Popen(run_script(str(tmp_path / "cut"), steps))
    checkpoints = tmp_path / "cut" / "checkpoints"
    while process.poll() is None and len([*checkpoints.glob("step-*")]) < 2:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    resumed = subprocess.Popen(run_script(str(tmp_path / "cut"), steps, "resume"))
    subprocess.run(run_script(str(tmp_path / "whole"), steps), check=True)
    assert resumed.wait() == 0
    whole, cut = (vaezoo.load(tmp_path / name) for name in ("whole", "cut"))
    assert same(weights(whole), weights(cut))


def test_ctrl_c_saves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = TrainingStep.__call__

    def press(self: TrainingStep, batch: vaezoo.Batch, step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, batch, step)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", press)
        with pytest.raises(KeyboardInterrupt):
            train(small(), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000008"]
    assert signal.getsignal(signal.SIGINT) == before
    whole, resumed = small(), small()
    train(whole, None)
    train(resumed, tmp_path, resume=True)
    assert same(weights(whole), weights(resumed))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    train(small(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    resumed, whole = small(), small()
    with pytest.warns(UserWarning, match=r"damaged.*older checkpoint"):
        train(resumed, tmp_path, resume=True)
    train(whole, None)
    assert same(weights(resumed), weights(whole))


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(vaezoo.RunError, match=r"already holds a run.*--resume.*--overwrite"):
        train(small(), tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_overwriting_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    train(small(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    vaezoo.fit(small(), images(), steps=2, out=tmp_path, overwrite=True, **QUICK)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert max(r["step"] for r in RunFolder(tmp_path).records()) == 2


def test_resuming_with_another_config_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    with pytest.raises(vaezoo.RunError, match=r"training.learning_rate was 0.001 and now is 0.01"):
        train(small(), tmp_path, resume=True, learning_rate=0.01)
    with pytest.raises(vaezoo.RunError, match=r"model.options.samples was 1 and now is 2"):
        train(small(samples=2), tmp_path, resume=True)


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    model = small()
    train(model, tmp_path)
    again = small()
    train(again, tmp_path, resume=True)
    assert same(weights(model), weights(again))


def test_a_run_records_what_was_done(tmp_path: Path) -> None:
    model = small()
    train(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["variant"] == "vae"
    assert config["training"]["steps"] == 30
    assert config["training"]["binarization"] == "dynamic"
    assert config["training"]["precision"] == "fp32"
    assert config["training"]["execution"] == "eager"
    assert config["data"]["splits"]["validation"]["size"] == 4
    assert config["environment"]["torch"] == torch.__version__
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {"elbo", "reconstruction", "kl", "bits_per_dim"} <= set(figures)
    pictures = {path.name for path in (tmp_path / "samples").iterdir()}
    assert {"reconstructions.png", "samples.png", "traversals.png"} <= pictures
    assert "training_curve.png" in pictures


def test_an_unwritable_folder_gets_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(vaezoo.RunError, match="cannot be written"):
        train(small(), tmp_path / "file" / "run")


def test_what_is_left_of_a_run_is_no_empty_folder(tmp_path: Path) -> None:
    train(small(), tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(vaezoo.RunError, match="already holds a run"):
        train(small(), tmp_path)


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(vaezoo.RunError, match="another process"),
    ):
        train(small(), tmp_path)


def test_resuming_on_other_data_of_the_same_size_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    with pytest.raises(vaezoo.RunError, match=r"data\.fingerprint"):
        vaezoo.fit(
            small(), images(48, seed=9), out=tmp_path, resume=True, steps=30, validate_every=10,
            log_every=4, binarization="dynamic", **QUICK,
        )  # fmt: skip


def test_early_stopping_leaves_a_checkpoint_and_all_records(tmp_path: Path) -> None:
    vaezoo.fit(
        small(), images(80), steps=1000, validate_every=5, patience=2, learning_rate=0.3,
        checkpoint_every=1000, out=tmp_path, **QUICK,
    )  # fmt: skip
    (last,) = (tmp_path / "checkpoints").iterdir()
    assert int(last.name[-8:]) == RunFolder(tmp_path).records()[-1]["step"] < 1000


def test_litter_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    litter = tmp_path / "checkpoints" / ".writing-abc" / "step-00000010"
    train(small(), tmp_path)
    litter.mkdir(parents=True)
    train(small(), tmp_path, resume=True)
    (tmp_path / "figures.json").unlink()
    vaezoo.training.checkpoint.write(
        tmp_path / "checkpoints", 31, vaezoo.training.checkpoint.State({}, {})
    )
    assert not litter.parent.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"3\n", b"{}\n", b'{"step"'])
def test_damaged_lines_of_metrics_are_passed_over(tmp_path: Path, content: bytes) -> None:
    train(small(), tmp_path)
    records = RunFolder(tmp_path).records()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(content)
    train(small(), tmp_path, resume=True)
    assert RunFolder(tmp_path).records() == records


def test_an_incomplete_checkpoint_is_passed_over(tmp_path: Path) -> None:
    train(small(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "progress.json"
    progress = json.loads(newest.read_text())
    del progress["names"]
    newest.write_text(json.dumps(progress))
    with pytest.warns(UserWarning, match=r"lacks names.*older checkpoint"):
        train(small(), tmp_path, resume=True)


@pytest.mark.gpu
def test_a_run_on_cuda_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 17)
        with pytest.raises(Stop):
            train(small(), tmp_path, device="cuda")
    resumed, whole = small(), small()
    history = train(resumed, tmp_path, device="cuda", resume=True)
    expected = train(whole, None, device="cuda")
    assert history.column("loss") == pytest.approx(expected.column("loss"), rel=1e-4)
