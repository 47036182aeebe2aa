"""docs/performance.md says what its result file says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "benchmarks" / "performance_page.py"
    spec = importlib.util.spec_from_file_location("performance_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_result_file(script: ModuleType) -> None:
    results = json.loads(script.RESULTS.read_text())
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.page(text, results) == text, "run benchmarks/performance_page.py"


def measured(group: str, unit: str, rows: dict[str, object]) -> dict[str, object]:
    facts = {"device": "a chip", "unit": unit, "rows": rows}
    return {"benchmarks": [{"group": group, "extra_info": facts, "stats": {"rounds": 7}}]}


def test_a_ratio_of_speeds_is_of_the_fastest_rounds(script: ModuleType) -> None:
    rows = {
        "vaezoo": {"value": 300, "loss": 10.0},
        "pythae": {"value": 200, "loss": 11.0},
        "floor": {"value": 400, "loss": None},
    }
    group = "vae 784-400-20, batch 128, cpu fp32, 1 threads"
    table = script.contenders(script.kept(measured(group, "images/s", rows)))
    assert "| vae 784-400-20, 128, fp32 | 300 | - | - | 1.50 | 0.75 | 10.0, 11.0 |" in table


def test_what_others_cost_is_told_as_a_multiple_of_the_first(script: ModuleType) -> None:
    values = {"vaezoo": 200.0, "handwritten": 150.0, "pythae": 500.0}
    rows = {name: {"value": value} for name, value in values.items()}
    kept = script.kept(measured("memory", "MiB", rows))
    table = script.costs(kept)
    assert "| memory | MiB | vaezoo 200, by hand 150 (0.75), pythae 500 (2.50) |" in table
    assert script.contenders(kept) == ""


def test_what_bf16_costs_is_what_was_measured_and_little() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "precision.json").read_text())
    lost = {row["data"]: row["lost"] for row in found["rows"]}
    text = " ".join((ROOT / "docs" / "performance.md").read_text(encoding="utf-8").split())
    mnist, fashion = lost["mnist"], lost["fashion-mnist"]
    assert f"{mnist:.2f} nats lower on MNIST, {fashion:.2f} on FashionMNIST" in text
    assert max(lost.values()) < 0.3
    for row in found["rows"]:
        means = [sum(row[kind]) / len(row[kind]) for kind in ("fp32", "bf16")]
        assert row["lost"] == pytest.approx(means[0] - means[1])
