"""What breaks from outside: a full disk, a folder that cannot be written, damaged checkpoints."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import same, small, train, weights

import vaezoo
from vaezoo.training import checkpoint, loop, run_folder
from vaezoo.training.run_folder import RunFolder


def no_space(name: str) -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", name)


def fill_up(
    patch: pytest.MonkeyPatch, module: Any, writer: str, *, part: str, after: int = 0
) -> None:
    """Once it was called so often, writing to a path with that part fails."""
    original = getattr(module, writer)
    calls = 0

    def full(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        (path,) = [argument for argument in arguments if isinstance(argument, Path)]
        calls += part in str(path)
        if part in str(path) and calls > after:
            raise no_space(str(path))
        return original(*arguments, **options)

    patch.setattr(module, writer, full)


def test_a_disk_that_fills_up_leaves_the_run_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill_up(patch, checkpoint, "write_atomic", part="state.safetensors", after=1)
        with pytest.raises(vaezoo.RunError) as caught:
            train(small(), tmp_path)
    message = str(caught.value)
    assert f"the run's folder {tmp_path} cannot be written" in message
    assert "No space left on device" in message
    assert "the run is safe up to step 10" in message
    assert "go on with resume (--resume)" in message
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000010"]
    resumed, whole = small(), small()
    train(resumed, tmp_path, resume=True)
    train(whole, None)
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    ("module", "writer", "part"),
    [
        (loop, "save", "model"),
        (run_folder, "write_atomic", "figures.json"),
        (run_folder, "write_atomic", "metrics.jsonl"),
        (run_folder, "write_atomic", "config.json"),
    ],
)
def test_whatever_cannot_be_written_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, writer: str, part: str
) -> None:
    with monkeypatch.context() as patch:
        fill_up(patch, module, writer, part=part)
        with pytest.raises(vaezoo.RunError, match=r"cannot be written \(.*No space left"):
            train(small(), tmp_path / "run")
    resumed, whole = small(), small()
    train(resumed, tmp_path / "run", resume=True)
    train(whole, None)
    assert same(weights(resumed), weights(whole))


def test_metrics_that_were_cut_off_by_a_full_disk_are_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = RunFolder.append

    def half(self: RunFolder, record: Any) -> None:
        if record["step"] < 16:
            original(self, record)
            return
        with self.writing(), (self.path / "metrics.jsonl").open("a") as file:
            file.write('{"split": "train", "st')
            raise no_space("metrics.jsonl")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", half)
        with pytest.raises(vaezoo.RunError, match="safe up to step 10"):
            train(small(), tmp_path)
    history = train(small(), tmp_path, resume=True)
    assert RunFolder(tmp_path).records() == history.records
    assert [r["step"] for r in history.records if r["split"] == "train"] == [
        4, 8, 12, 16, 20, 24, 28, 30,
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["run", "run/checkpoints"])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path, place: str) -> None:
    """(Permissions would do as well, but bind no administrator.)"""
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(vaezoo.RunError, match=r"run|already holds a run"):
        train(small(), tmp_path / "run")


# Checkpoints.


def damaged(run: Path, number: int) -> Path:
    """The checkpoint ``number`` from the end, with its tensors cut off."""
    path = sorted((run / "checkpoints").iterdir())[-number]
    tensors = path / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:200])
    return path


def test_the_warning_of_a_damaged_checkpoint_names_it_and_the_one_that_is_used(
    tmp_path: Path,
) -> None:
    train(small(), tmp_path)
    newest = damaged(tmp_path, 1)
    with pytest.warns(UserWarning, match="is damaged") as caught:
        train(small(), tmp_path, resume=True)
    (message,) = [str(w.message) for w in caught]
    assert str(newest) in message
    assert message.endswith(
        f"the older checkpoint {tmp_path / 'checkpoints' / 'step-00000020'} is used"
    )


@pytest.mark.parametrize("how", ["cut", "empty", "gone", "words", "progress"])
def test_damage_of_any_kind_is_passed_over(tmp_path: Path, how: str) -> None:
    train(small(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    tensors = newest / "state.safetensors"
    if how == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-1])
    elif how == "empty":
        tensors.write_bytes(b"")
    elif how == "gone":
        tensors.unlink()
    elif how == "words":
        tensors.write_text("no tensors at all, but long enough to hold a header")
    else:
        (newest / "progress.json").write_text('{"format": 1, "st')
    resumed, whole = small(), small()
    with pytest.warns(UserWarning, match="older checkpoint"):
        train(resumed, tmp_path, resume=True)
    train(whole, None)
    assert same(weights(resumed), weights(whole))


def test_without_a_whole_checkpoint_the_error_says_what_is_left_to_do(tmp_path: Path) -> None:
    train(small(), tmp_path)
    paths = [damaged(tmp_path, 1), damaged(tmp_path, 2)]
    with pytest.raises(vaezoo.CheckpointError, match=r"no checkpoint in .* can be read") as caught:
        train(small(), tmp_path, resume=True)
    assert all(str(path) in str(caught.value) for path in paths)
    assert "overwrite" in str(caught.value)
    assert "--init-from" in str(caught.value)
    # What the run had made is still there.
    assert vaezoo.load(tmp_path).prepared
    shutil.rmtree(tmp_path / "checkpoints")
    train(small(), tmp_path, overwrite=True)


def test_a_flipped_bit_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    def fit(steps: int, out: str = "run", **options: Any) -> vaezoo.VAE:
        torch.manual_seed(0)
        model = vaezoo.create("vae", input_shape=(6,), latent_dim=2)
        data = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
        options |= {
            "steps": steps,
            "batch_size": 16,
            "checkpoint_every": 2,
            "validate_every": 2,
            "progress": False,
        }
        vaezoo.fit(model, data, out=tmp_path / out, **options)
        return model

    fit(4)
    fit(6, resume=True)
    newest, _ = sorted((tmp_path / "run/checkpoints").iterdir())[::-1]
    data = bytearray((newest / "state.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "state.safetensors").write_bytes(data)
    with pytest.warns(UserWarning, match="its tensors have changed; the older checkpoint"):
        again = fit(8, resume=True)
    whole = fit(8, "whole").state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in again.state_dict().items())


def test_a_run_whose_checkpoints_are_lost_is_not_begun_anew_over_its_model(tmp_path: Path) -> None:
    train(small(), tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "figures.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(vaezoo.RunError, match="holds no checkpoint in") as caught:
        train(small(), tmp_path, resume=True)
    assert "(--overwrite)" in str(caught.value)
    assert f"(--init-from {tmp_path / 'model'})" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    shutil.rmtree(tmp_path / "model")  # metrics alone tell that there were some
    with pytest.raises(vaezoo.RunError, match="it came to step 30, and holds no checkpoint"):
        train(small(), tmp_path, resume=True)
