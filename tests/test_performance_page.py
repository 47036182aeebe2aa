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


def test_a_ratio_is_of_the_fastest_rounds(script: ModuleType) -> None:
    def row(contender: str, speed: int, loss: float | None) -> dict[str, object]:
        facts = dict.fromkeys(script.FACTS, "x") | {"loss": loss, "contender": contender}
        facts |= {"images_per_second_at_best": speed, "images_per_second": speed // 2}
        name = "vae 784-400-20, batch 128, cpu fp32, 1 threads"
        return {"group": name, "extra_info": facts, "stats": {"rounds": 7}}

    rows = [row("vaezoo", 300, 10.0), row("pythae", 200, 11.0), row("floor", 400, None)]
    table = script.tables(script.kept({"benchmarks": rows}))
    assert "| vae 784-400-20, 128, fp32 | 300 | - | - | 1.50 | 0.75 | 10.0, 11.0 |" in table
