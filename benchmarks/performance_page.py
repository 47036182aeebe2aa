"""Keeps what a run of test_contenders.py measured, and writes the tables of docs/performance.md.

    pytest benchmarks/test_contenders.py --benchmark-only --benchmark-json=figures.json
    python benchmarks/performance_page.py figures.json

A group is replaced as a whole, since only ratios within one run count. Without a file the tables
are written anew from what is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "contenders.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- tables: benchmarks/performance_page.py -->\n", "<!-- end of tables -->\n"
ORDER = ["vaezoo", "handwritten", "plain", "pythae", "floor"]
FACTS = ("device", "torch", "vaezoo", "precision", "loss", "steps_per_call", "batch")


def kept(figures: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping of pytest-benchmark's file: {group: {contender: facts}}."""
    groups: dict[str, Any] = {}
    for row in figures["benchmarks"]:
        facts = row["extra_info"]
        if "contender" in facts:
            groups.setdefault(row["group"], {})[facts["contender"]] = {
                **{name: facts[name] for name in FACTS},
                "images_per_second": facts["images_per_second_at_best"],
                "images_per_second_median": facts["images_per_second"],
                "rounds": row["stats"]["rounds"],
            }
    return groups


def tables(results: dict[str, Any]) -> str:
    """Images per second of each group's fastest rounds, and vaezoo's speed over the others'."""
    lines = []
    devices = dict.fromkeys(row["device"] for group in results.values() for row in group.values())
    for device in devices:
        lines += [f"### {device}", ""]
        lines += [
            "| model, batch, precision | vaezoo, images/s | / by hand | / tutorial | / pythae |"
        ]
        lines[-1] += " / floor | nats: vaezoo, by hand, tutorial, pythae |"
        lines += ["|---|---|---|---|---|---|---|"]
        for name, group in results.items():
            if group["vaezoo"]["device"] == device:
                lines.append(row_of(name, group))
        lines.append("")
    return "\n".join(lines)


def row_of(name: str, group: dict[str, Any]) -> str:
    """One group as a row of the table."""
    ours = group["vaezoo"]["images_per_second"]
    cells = [f"{ours:,}"]
    for other in ORDER[1:]:
        theirs = group.get(other)
        cells.append("-" if theirs is None else f"{ours / theirs['images_per_second']:.2f}")
    losses = [group[other]["loss"] for other in ORDER[:4] if other in group]
    model, batch, place, _ = [part.strip() for part in name.rsplit(",", 3)]
    title = f"{model}, {batch.removeprefix('batch ')}, {place.split()[1]}"
    return f"| {title} | {' | '.join(cells)} | {', '.join(f'{loss:.1f}' for loss in losses)} |"


def page(text: str, results: dict[str, Any]) -> str:
    """The page with its tables replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + tables(results) + "\n" + END + rest.split(END)[1]


def main() -> None:
    """Keep the groups of the files named, then write the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for path in sys.argv[1:]:
        results |= kept(json.loads(Path(path).read_text()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
