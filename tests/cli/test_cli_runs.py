"""``vaezoo runs``: what it lists, and how it bears with damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import SMALL

from vaezoo.cli import runs
from vaezoo.training.run_folder import RunFolder

DAMAGED = '{"model": {}, "data": {}, "training": {}, "overrides": 3}'


@pytest.fixture
def two(trained, tmp_path):
    """Copies of two finished runs in the folder that is looked at by itself."""
    for variant, run in trained.items():
        shutil.copytree(run, tmp_path / "runs" / variant)
    return tmp_path / "runs"


def found(result):
    assert result.code == 0
    return {Path(run["path"]).name: run for run in json.loads(result.out)}


def test_runs_are_listed_with_their_figures(vaezoo, two):
    result = vaezoo("runs")
    header, *rows = result.out.splitlines()
    assert header.split() == [
        "run", "variant", "data", "state", "steps", "elbo", "recon", "kl", "of", "begun",
        "overrides",
    ]  # fmt: skip
    assert len(rows) == 2
    figures = json.loads((two / "vae" / "figures.json").read_text())
    (row,) = [row for row in rows if row.startswith("runs/vae")]
    cells = row.split()
    assert cells[:5] == ["runs/vae", "vae", "tiny", "finished", "3/3"]
    shown = [f"{figures[name]:,.2f}" for name in ("elbo", "reconstruction", "kl")]
    assert cells[5:9] == [*shown, "test"]
    assert "steps=3" in cells
    assert "binarization=dynamic" in cells
    assert "model.latent_dim=2" in cells


def test_json_holds_all_there_is(vaezoo, two):
    runs = found(vaezoo("runs", "--json"))
    assert runs.keys() == {"vae", "cvae"}
    figures = json.loads((two / "cvae" / "figures.json").read_text())
    run = runs["cvae"]
    assert run["figures"] == {n: figures[n] for n in ("elbo", "reconstruction", "kl")}
    assert (run["state"], run["step"], run["steps"], run["split"]) == ("finished", 3, 3, "test")
    assert run["overrides"]["batch_size"] == 8
    assert run["started"].endswith("+00:00")
    assert run["init_from"] is None
    assert run["warnings"] == []


def test_a_run_alone_and_runs_far_below_are_found_but_no_models(vaezoo, two, tmp_path):
    assert [*found(vaezoo("runs", "runs/vae", "--json"))] == ["vae"]
    shutil.move(two / "vae", tmp_path / "a" / "b" / "c" / "vae")
    shutil.copytree(two / "cvae" / "model", two / "bare-model")
    (two / "not-a-run").mkdir()
    (two / "not-a-run" / "config.json").write_text('{"mine": 1}')
    assert {*found(vaezoo("runs", ".", "--json"))} == {"vae", "cvae"}


def test_an_unfinished_run_shows_its_best_validation(vaezoo, two):
    run = two / "vae"
    (run / "figures.json").unlink()
    records = [
        {"split": "train", "step": 1, "elbo": -1.0},
        {"split": "validation", "step": 1, "elbo": -50.0, "reconstruction": -48.0, "kl": 2.0},
        {"split": "validation", "step": 2, "elbo": None, "reconstruction": None, "kl": None},
        {"split": "validation", "step": 2, "elbo": -60.0, "reconstruction": -59.0, "kl": 1.0},
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (run / "metrics.jsonl").write_text(lines + '{"split": "tr')
    listed = found(vaezoo("runs", "--json"))["vae"]
    assert (listed["state"], listed["step"], listed["split"]) == ("interrupted", 3, "validation")
    assert listed["figures"] == {"elbo": -50.0, "reconstruction": -48.0, "kl": 2.0}
    with RunFolder(run).locked():
        assert found(vaezoo("runs", "--json"))["vae"]["state"] == "running"
    assert found(vaezoo("runs", "--json"))["vae"]["state"] == "interrupted"


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", "[]", "is not the config of a run"),
        ("config.json", DAMAGED, "do not hold"),
        ("config.json", None, "there is no config.json"),
        ("figures.json", "{", "figures.json cannot be read"),
        ("figures.json", "[1]", "does not hold the figures"),
        ("figures.json", '{"elbo": "many"}', "do not hold"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason(vaezoo, two, file, text, reason):
    path = two / "vae" / file
    path.unlink()
    if text is not None:
        path.write_text(text)
    runs = found(vaezoo("runs", "--json"))
    assert runs["vae"]["state"] == "damaged"
    assert reason in runs["vae"]["reason"]
    assert runs["cvae"]["state"] == "finished"
    table = vaezoo("runs")
    assert table.code == 0
    assert reason in " ".join(table.out.split())


def test_where_there_are_no_runs_that_is_said(vaezoo, tmp_path):
    assert vaezoo("runs").out == "no runs in runs: `vaezoo train` makes one\n"
    assert vaezoo("runs", ".").out.startswith("no runs in .")
    assert found(vaezoo("runs", "--json")) == {}
    assert "no folder 'nowhere'" in vaezoo("runs", "nowhere").error
    assert "Did you mean '--json'?" in vaezoo("runs", "--jsn").error


def test_a_run_of_an_older_version_is_listed(vaezoo, two):
    path = two / "vae" / "config.json"
    config = json.loads(path.read_text())
    for key in ("overrides", "started", "totals", "init_from"):
        del config[key]
    path.write_text(json.dumps(config))
    run = found(vaezoo("runs", "--json"))["vae"]
    assert run["state"] == "finished"
    assert run["overrides"] == {}
    assert run["started"]  # when its config was written


def test_the_runs_of_a_longer_run_show_its_new_length(vaezoo):
    assert vaezoo("train", "vae", "--data", "tiny", *SMALL).code == 0
    assert vaezoo("train", "--resume", "--out", "runs/vae-tiny", "--steps", 5).code == 0
    run = found(vaezoo("runs", "--json"))["vae-tiny"]
    assert (run["step"], run["steps"], run["state"]) == (5, 5, "finished")


def test_listing_runs_imports_no_torch(two):
    code = (
        "import sys; from vaezoo.cli import main; main(['runs']); main(['runs', '--json']); "
        "sys.exit(sorted({'torch', 'numpy', 'tyro', 'rich'} & {*sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.stderr
    assert done.returncode == 0
    assert "runs/vae" in done.stdout


def test_a_run_is_listed_with_its_file_and_what_was_asked_of_it(vaezoo, tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text("\n".join(["a,b,c", *(f"{i},{i * i % 7},{-i}" for i in range(40))]))
    few = ["--steps", "2", "--batch-size", "8"]
    line = ["train", "vae", "--data", path, "--data.drop", "c", *few, "--out", "runs/x"]
    assert vaezoo(*line).code == 0
    (run,) = json.loads(vaezoo("runs", "--json").out)
    assert run["data"] == "sensors"
    assert run["overrides"]["data.drop"] == ["c"]


def test_a_run_without_metrics_yet_came_as_far_as_its_checkpoint(vaezoo, two):
    run = two / "vae"
    for name in ("metrics.jsonl", "figures.json"):
        (run / name).unlink()
    assert found(vaezoo("runs", "--json"))["vae"]["step"] == 3


def test_figures_of_what_has_diverged_are_short():
    shown = [runs._shown(nats) for nats in (-1234.567, 1e9, -3.2e31)]
    assert shown == ["-1,234.57", "1e+09", "-3.2e+31"]
