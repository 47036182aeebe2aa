"""The scripts in benchmarks/reproduce run, and docs/results.md says what their results say."""

from __future__ import annotations

import _thread
import importlib
import json
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from small_mnist import TEST, TRAIN, small_mnist

import vaezoo
from vaezoo.training.step import TrainingStep

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "reproduce"
PROTOCOLS = ["static_mnist_784_400_40", "burda_iwae", "exemplar_vae"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script as its folder's own, as Python does where it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("MNIST", "FashionMNIST"):
        small_mnist(tmp_path, monkeypatch, kind)
    return tmp_path


def call(module: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, *line: str) -> Any:
    """Run a protocol's command line; the result file."""
    results = out / "results.json"
    options = ["--runs", str(out / "runs"), "--results", str(results), "--smoke"]
    monkeypatch.setattr(sys, "argv", ["script", *line, *options])
    sys.modules["protocol"].command(module.ROWS, module.RESULTS, description=module.__doc__)
    return json.loads(results.read_text())


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Time is up after so many steps; the steps that are taken, now and later."""
    original, steps = TrainingStep.__call__, []

    def stopped(self: TrainingStep, batch: vaezoo.Batch, step: int) -> None:
        original(self, batch, step)
        steps.append(step)
        if len(steps) == count:
            _thread.interrupt_main()

    monkeypatch.setattr(TrainingStep, "__call__", stopped)
    return steps


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_runs_and_tells_which_rows_it_cannot(
    name: str,
    script: Any,
    mnist: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script(name)
    protocol = sys.modules["protocol"]
    rows = [row for row in module.ROWS if not protocol.missing(row)]
    kinds = {(row.variant, row.data["name"]): row for row in rows}  # one of each
    names = [row.name for row in (*kinds.values(), module.ROWS[-1])]
    found = call(module, monkeypatch, mnist, *names)
    told = capsys.readouterr().out
    for row in kinds.values():
        assert found[row.name]["state"] == "done"
        figures = found[row.name]["figures"]
        assert (figures["split"], figures["examples"]) == ("test", TEST)
        assert figures["samples"] == 3
        assert figures["active_units"] is None or figures["active_units"] <= figures["latent_dim"]
        assert f"{row.name}: -log p(x) {-figures['log_likelihood']:.2f}" in told
    if why := protocol.missing(module.ROWS[-1]):
        assert f"{module.ROWS[-1].name}: not run: {why}" in told
        assert module.ROWS[-1].name not in found


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_row_of_a_protocol_can_be_built_or_needs_what_is_not_registered(
    name: str, script: Any
) -> None:
    """An option that has another name would be an error here."""
    for row in script(name).ROWS:
        why = sys.modules["protocol"].missing(row)
        assert why == "" or why.startswith("needs")
        assert row.source
        assert re.match(r"\d+\.\d+", row.published)


def test_a_protocol_is_trained_and_measured_in_pieces(
    script: Any, mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script(PROTOCOLS[0])
    steps = stop_after(2, monkeypatch)
    states = [call(module, monkeypatch, mnist, "--minutes", "9")["vae"] for _ in range(3)]
    assert [result["state"] for result in states] == ["stopped", "trained", "done"]
    assert steps == [0, 1, 2, 3]
    assert states[0]["epochs"] == round(2 / (TRAIN // 100), 2)
    assert "figures" not in states[0]
    assert "stopped after 0.67 of 2 epochs" in capsys.readouterr().out
    again = call(module, monkeypatch, mnist)  # nothing is left to do
    assert again["vae"] == states[2]


def test_time_that_is_up_is_as_ctrl_c(script: Any) -> None:
    interrupted_after = script("protocol").interrupted_after

    def work() -> None:
        end = time.monotonic() + 20
        with interrupted_after(0.05 / 60):
            while time.monotonic() < end:
                pass

    with pytest.raises(KeyboardInterrupt):
        work()
    with interrupted_after(0.01 / 60):
        pass  # ended in time
    time.sleep(0.05)


def test_burdas_model_starts_at_the_mean_image(script: Any, mnist: Path) -> None:
    module = script("burda_iwae")
    protocol = sys.modules["protocol"]
    row = module.ROWS[0]
    assert row.training["epochs"] == 3280
    assert row.milestones == (1, 4, 13, 40, 121, 364, 1093)
    data, model = vaezoo.data.as_data(row.data), protocol.build(row)
    row.initialise(model, data)
    x = data.train.examples(torch.arange(len(data.train)))[0].float() / 255
    mean = x.mean(0).clamp(0.001, 0.999)
    decoder = [m for m in model.decoder.modules() if isinstance(m, torch.nn.Linear)]
    assert torch.allclose(decoder[-1].bias.view(1, 28, 28).sigmoid(), mean, atol=1e-6)
    assert not any(layer.bias.any() for layer in decoder[:-1])


def test_a_machine_is_told_by_name(script: Any) -> None:
    found = script("machine").machine()
    assert {"device", "cpu", "threads", "torch", "vaezoo", "python"} <= set(found)
    assert found["cpu"]
    json.dumps(found)


def test_m2_runs_and_goes_on_after_the_draws_that_are_there(
    script: Any, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("m2_mnist")
    quick = {"steps": 3, "execution": "eager", "lr_schedule": "constant"}
    monkeypatch.setattr(module, "TRAINING", {**module.TRAINING, **quick})
    monkeypatch.setattr(module, "ALONE_STEPS", 3)
    monkeypatch.setattr(module, "LABELS", 20)
    results = mnist / "m2.json"
    for draws in (1, 2):
        line = ["--draws", str(draws), "--results", str(results), "--runs", str(mnist / "runs")]
        monkeypatch.setattr(sys, "argv", ["script", *line])
        module.main()
        found = json.loads(results.read_text())
        assert found["summary"]["draws"] == draws
    assert [result["draw"] for result in found["results"]] == [0, 1]
    errors = [result["error"] for result in found["results"]]
    assert found["summary"]["error"] == pytest.approx(sum(errors) / 2, abs=0.01)
    for result in found["results"]:
        accuracy = result["figures"]["test"]["accuracy"]
        assert result["error"] == pytest.approx(100 * (1 - accuracy), abs=0.01)


def test_a_draw_of_m2_that_was_stopped_goes_on(
    script: Any, mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script("m2_mnist")
    quick = {"steps": 4, "execution": "eager"}
    monkeypatch.setattr(module, "TRAINING", {**module.TRAINING, **quick})
    monkeypatch.setattr(module, "ALONE_STEPS", 3)
    monkeypatch.setattr(module, "LABELS", 20)
    steps = stop_after(2, monkeypatch)
    line = ["--draws", "1", "--minutes", "9", "--results", str(mnist / "m2.json")]
    monkeypatch.setattr(sys, "argv", ["script", *line, "--runs", str(mnist / "runs")])
    module.main()
    assert "draw 0: stopped" in capsys.readouterr().out
    assert not (mnist / "m2.json").exists()
    module.main()
    assert steps == [0, 1, 2, 3]
    assert json.loads((mnist / "m2.json").read_text())["summary"]["draws"] == 1


def test_importance_samples_are_timed(
    script: Any, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("importance_sampling")
    results = mnist / "importance.json"
    monkeypatch.setattr(module, "RESULTS", results)
    line = ["script", "--images", "50", "--samples", "60", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", line)
    module.main()
    row = json.loads(results.read_text())["cpu, 50 images"]
    assert row["samples"] == 60
    assert row["machine"]["cpu"]


def test_the_families_are_trained_measured_and_summed_up(
    mnist: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("families_mnist")
    quick = {"steps": 2, "batch_size": 20, "execution": "eager", "lr_schedule": "constant"}
    monkeypatch.setattr(module, "TRAINING", {**module.TRAINING, **quick})
    monkeypatch.setattr(module, "MODELS", {"vae": {}, "iwae": {"samples": 2}})
    monkeypatch.setattr(module, "IMAGES", 10)
    monkeypatch.setattr(module, "SAMPLES", 3)
    results, runs = mnist / "families.json", str(mnist / "runs")
    line = ["script", "--results", str(results), "--runs", runs, "--seeds", "0", "1"]
    monkeypatch.setattr(sys, "argv", line)
    module.main()
    found = json.loads(results.read_text())
    rows = {(row["name"], row["seed"]): row for row in found["results"]}
    gains = [
        rows["iwae", seed]["log_likelihood"] - rows["vae", seed]["log_likelihood"]
        for seed in (0, 1)
    ]
    told = found["summary"]["iwae"]["log_likelihood_gain"]
    assert told["mean"] == pytest.approx(sum(gains) / 2, abs=1e-3)
    assert told["std"] == pytest.approx(abs(gains[0] - gains[1]) / 2**0.5, abs=1e-3)
    assert all(len(row["per_image"]) == 10 for row in rows.values())


# docs/results.md


def test_the_page_says_what_the_result_files_say(script: Any) -> None:
    page = script("results_page")
    assert page.page() == page.PAGE.read_text(encoding="utf-8"), (
        "docs/results.md and the results disagree: run benchmarks/reproduce/results_page.py"
    )


def test_an_unrun_row_has_no_figure(script: Any) -> None:
    page, module = script("results_page"), script("burda_iwae")
    row, machine = module.ROWS[0], {"device": "CPU", "threads": 1}
    shared = {"machine": machine, "seconds_of_training": 12.0, "published": "86.76"}
    assert page.state(row, None) == {"ours": "not run", "took": ""}
    stopped = {**shared, "state": "stopped", "epochs": 12.5, "epochs_of_the_protocol": 3280}
    assert page.state(row, stopped)["ours"] == "not run: stopped after 12.5 of 3,280 epochs"
    trained = {**stopped, "state": "trained"}
    assert page.state(row, trained)["ours"] == "not run: trained, not measured"
    figures = {"log_likelihood": -86.654, "log_likelihood_standard_error": 0.25}
    figures |= {"active_units": 19, "latent_dim": 50}
    done = page.state(row, {**shared, "state": "done", "figures": figures})
    assert done["ours"] == "86.65 ± 0.25; 19 of 50 units active"
    assert done["took"] == "CPU, 1 thread; 12 s"


def test_results_hold_no_smoke(script: Any) -> None:
    """What is committed was run in full: epochs, samples and split are the protocol's."""
    for name in PROTOCOLS:
        module = script(name)
        path = FOLDER / "results" / f"{name}.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        for row in module.ROWS:
            if (result := found.get(row.name)) and result["state"] == "done":
                assert result["config"]["training"]["epochs"] == row.training["epochs"]
                assert result["figures"]["samples"] == row.samples
                assert (result["figures"]["split"], result["figures"]["examples"]) == (
                    "test",
                    10_000,
                )


# docs/zoo.md


def test_the_zoos_page_says_what_its_result_file_says(script: Any) -> None:
    zoo = script("zoo")
    results = json.loads(zoo.RESULTS.read_text(encoding="utf-8"))
    assert zoo.page(results) == zoo.PAGE.read_text(encoding="utf-8"), (
        "docs/zoo.md and the results disagree: run benchmarks/reproduce/zoo.py"
    )
    for sheets in results["sheets"].values():
        assert all((ROOT / "docs" / "images" / sheet).exists() for sheet in sheets)


def test_no_row_of_the_zoo_is_nan_or_collapsed(script: Any) -> None:
    rows = json.loads(script("zoo").RESULTS.read_text(encoding="utf-8"))["rows"]
    assert len(rows) >= 25
    for name, row in rows.items():
        assert row["reconstruction"] is not None, name
        assert not any("collapsed" in warning for warning in row["warnings"]), name
