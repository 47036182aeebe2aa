"""What the pages under docs/ show, works: their snippets are executed, their links followed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from vaezoo.registry import lookup
from vaezoo.registry.specs import MetricSpec

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ELSEWHERE = {"data", "writing-a-plugin", "plugin-components", "tutorial", "tutorial.zh"}
"""Pages whose snippets need files: tests/test_docs_*.py."""


def snippets(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if snippets(p) and p.stem not in ELSEWHERE], ids=lambda p: p.stem
)
def test_the_python_snippets_run_in_their_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in snippets(page):
        exec(compile(code, page.name, "exec"), names)
        for line in code.splitlines():  # what a line says that it gives: a shape
            if found := re.fullmatch(r"(\w.*\.shape)  # (\([\d, ]+\)).*", line):
                expression, shape = found.groups()
                assert eval(expression, names) == torch.Size(eval(shape)), line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_figures_of_representations_are_those_of_the_result_file() -> None:
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    path = DOCS.parent / "benchmarks" / "reproduce" / "results" / "mnist_representation.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    found = results["classification"]["figures"]
    rows = {
        "all 50,000": {**found["knn, all labels"], **found["linear probe, all labels"]},
        "1,000": found["1,000 labels"],
        "100": found["100 labels"],
    }
    names = [f"{n}_accuracy{raw}" for n in ("knn", "linear_probe") for raw in ("", "_raw")]
    for labels, row in rows.items():
        cells = " | ".join(f"{100 * row[name]:.1f} %" for name in names)
        assert f"| {labels} | {cells} |" in page
    for figures in results["anomaly"]["figures"].values():
        scores = [figures[f"anomaly_auroc_{n}"] for n in ("likelihood", "reconstruction")]
        said = r"{:.2f}\s+(by likelihood\s+)?and\s+{:.2f}".format(*scores)
        assert re.search(said, page), scores


def test_every_metric_of_the_core_is_on_the_page_of_evaluation() -> None:
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    for spec in lookup.plugins()[0].specs:
        if isinstance(spec, MetricSpec):
            assert f"`{spec.name}`" in page, spec.name
            for figure in spec.figures:
                assert f"`{figure}`" in page or figure.endswith(("accuracy", "raw")), figure
