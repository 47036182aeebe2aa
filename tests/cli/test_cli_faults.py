"""What breaks from outside ends in one line and exit code 2, with the run so far safe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import SMALL, install

from vaezoo.registry import lookup

TINY = ["--data", "tiny", *SMALL]
LIMITED = """
import resource, sys, torch
from vaezoo.cli import main
torch.set_num_threads(1)
# 60 kB for each file: configs and metrics fit, a checkpoint's tensors do not.
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.exit(main(sys.argv[1:]))
"""
TORN = """
import torch, vaezoo
from vaezoo.data import Stream, TensorSource, named_splits
from vaezoo.options import NoOptions


class Rows:
    def __iter__(self):
        yield from torch.zeros(80, 1, 8, 8).split(8)
        raise OSError("row 80 is torn")


def torn(options: NoOptions, root):
    stream = Stream(Rows())
    validation = TensorSource(torch.zeros(8, 1, 8, 8))
    splits = {"train": (stream.first, "rows"), "validation": (validation, "zeros")}
    return named_splits("torn", splits, stream=stream)


@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.DatasetSpec(name="torn", target=torn)
"""


def test_a_real_limit_on_files_ends_in_one_line():
    pytest.importorskip("resource")
    line = ["train", "vae", *TINY, "--out", "run"]
    command = [sys.executable, "-c", LIMITED, *line]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    *_, last = done.stderr.splitlines()
    assert last.startswith("vaezoo: error: the run's folder run cannot be written ([Errno 27]")
    assert "Traceback" not in done.stderr
    left = [path.name for path in Path("run").rglob(".*") if path.is_file()]
    assert left == [".lock"]


@pytest.mark.parametrize("ending", ["csv", "npz", "npy", "safetensors"])
def test_a_file_that_cannot_be_written_is_named(vaezoo, trained, ending):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.SIGXFSZ
    before = signal.signal(handler, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        result = vaezoo("encode", trained["vae"], "--out", f"codes.{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(handler, before)
    assert f"'codes.{ending}'" in result.error
    assert not list(Path().iterdir())


def test_a_disk_that_fills_up_ends_in_one_line_that_says_how_to_go_on(vaezoo, monkeypatch):
    from vaezoo.training import checkpoint

    original, calls = checkpoint.write_atomic, []

    def full(path, content):
        calls.append(path.name)
        if calls.count("state.safetensors") > 1:
            raise OSError(28, "No space left on device", str(path))
        original(path, content)

    line = ["train", "vae", *TINY, "--validate-every", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomic", full)
        result = vaezoo(*line)
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert "No space left on device" in last
    assert "the run is safe up to step 1" in last
    assert "Traceback" not in result.err
    assert vaezoo("train", "--resume", "--out", "runs/vae-tiny").code == 0


def test_a_loader_that_raises_ends_in_one_line_and_the_run_is_safe(vaezoo, tmp_path, monkeypatch):
    install(tmp_path, "torn-vaezoo", "torn_vaezoo", {"torn_vaezoo": TORN})
    monkeypatch.syspath_prepend(str(tmp_path))
    lookup.refresh()
    line = ["train", "vae", "--data", "torn", *SMALL, "--steps", "20"]
    result = vaezoo(*line)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "vaezoo: error: batch 10 of Rows cannot be read: OSError: row 80 is torn. "
        "The run is saved at step 10: go on with resume (--resume)"
    )
    assert "Traceback" not in result.err
    assert [path.name for path in Path("runs/vae-torn/checkpoints").iterdir()][-1:] == [
        "step-00000010"
    ]
    again = vaezoo("train", "--resume", "--out", "runs/vae-torn", "--debug")
    assert again.code == 2
    assert "resuming at step 10" in again.err
    assert "Traceback" in again.err


@pytest.mark.filterwarnings("default")
def test_a_damaged_checkpoint_is_told_in_one_line_and_the_older_one_is_used(vaezoo):
    assert vaezoo("train", "vae", *TINY, "--validate-every", "1").code == 0
    run = Path("runs/vae-tiny")
    older, newest = sorted((run / "checkpoints").iterdir())
    tensors = newest / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:100])
    result = vaezoo("train", "--resume", "--out", run, "--steps", 5)
    assert result.code == 0
    (warning,) = [line for line in result.err.splitlines() if "warning" in line]
    assert warning.startswith(f"vaezoo: warning: the checkpoint {newest} is damaged")
    assert warning.endswith(f"the older checkpoint {older} is used")
    for path in (run / "checkpoints").iterdir():
        (path / "progress.json").write_text("{")
    (run / "figures.json").unlink()
    error = vaezoo("train", "--resume", "--out", run).error
    assert "no checkpoint in runs/vae-tiny/checkpoints can be read" in error


def test_warnings_are_shown_at_the_end_and_again_when_a_run_is_looked_at(vaezoo, monkeypatch):
    from vaezoo.training import diagnosis

    monkeypatch.setattr(diagnosis, "ENOUGH_STEPS", 3)
    monkeypatch.setattr(diagnosis, "COLLAPSED", 1e9)  # nats: every model has
    result = vaezoo("train", "vae", *TINY)
    assert result.code == 0
    (told,) = [line for line in result.out.splitlines() if line.startswith("warning ")]
    assert told.startswith("warning   the posterior has collapsed")
    assert "collapsed" not in result.err
    again = vaezoo("train", "--resume", "--out", "runs/vae-tiny")
    assert told in again.out.splitlines()
    figures = Path("runs/vae-tiny/figures.json")
    value = json.loads(figures.read_text())
    assert value["warnings"] == [told.removeprefix("warning   ")]
    for damage in ("text", [3], {}):
        figures.write_text(json.dumps({**value, "warnings": damage}))
        result = vaezoo("train", "--resume", "--out", "runs/vae-tiny")
        assert result.code == 2
        assert f"{figures} does not hold the figures of a run" in result.err
