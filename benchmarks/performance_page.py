"""Keeps what the benchmarks measured, and writes the tables of docs/performance.md.

    pytest benchmarks/test_contenders.py --benchmark-only --benchmark-json=figures.json
    python benchmarks/performance_page.py figures.json

Also of test_short_runs.py, test_memory.py, test_startup.py and test_scaling.py. A group is
replaced as a whole, since only ratios within one run count. Without a file the tables are written
anew from what is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN = "<!-- {}: benchmarks/performance_page.py -->\n"
END = "<!-- end of {} -->\n"
ORDER = ["vaezoo", "handwritten", "plain", "pythae", "floor"]
SPOKEN = {"handwritten": "by hand", "plain": "tutorial"}
FACTS = ("device", "torch", "vaezoo", "unit", "execution", "steps_per_round", "batch")
SPEED = "images/s"

Groups = dict[str, dict[str, Any]]


def kept(figures: dict[str, Any]) -> Groups:
    """What is worth keeping of pytest-benchmark's file: {group: {row: facts}}."""
    groups: Groups = {}
    for measured in figures["benchmarks"]:
        facts = measured["extra_info"]
        if "rows" in facts:
            shared = {name: facts[name] for name in FACTS if name in facts}
            shared["rounds"] = measured["stats"]["rounds"]
            groups[measured["group"]] = {n: shared | row for n, row in facts["rows"].items()}
    return groups


def contenders(results: Groups) -> str:
    """Images per second of each group's fastest rounds, and vaezoo's speed over the others'."""
    groups = {n: g for n, g in results.items() if next(iter(g.values()))["unit"] == SPEED}
    lines = []
    for device in devices(groups):
        lines += [f"### {device}", ""]
        lines += [
            "| model, batch, precision | vaezoo, images/s | / by hand | / tutorial | / pythae |"
        ]
        lines[-1] += " / floor | nats: vaezoo, by hand, tutorial, pythae |"
        lines += ["|---|---|---|---|---|---|---|"]
        for name, group in groups.items():
            if group["vaezoo"]["device"] == device:
                lines.append(row_of(name, group))
        lines.append("")
    return "\n".join(lines)


def row_of(name: str, group: dict[str, Any]) -> str:
    """One group as a row of the table."""
    ours = group["vaezoo"]["value"]
    cells = [f"{ours:,}"]
    for other in ORDER[1:]:
        theirs = group.get(other)
        cells.append("-" if theirs is None else f"{ours / theirs['value']:.2f}")
    losses = [group[other]["loss"] for other in ORDER[:4] if other in group]
    model, batch, place, _ = [part.strip() for part in name.rsplit(",", 3)]
    title = f"{model}, {batch.removeprefix('batch ')}, {place.split()[1]}"
    return f"| {title} | {' | '.join(cells)} | {', '.join(f'{loss:.1f}' for loss in losses)} |"


def costs(results: Groups) -> str:
    """What else was measured: time and memory, a row for each group."""
    groups = {n: g for n, g in results.items() if next(iter(g.values()))["unit"] != SPEED}
    lines = []
    for device in devices(groups):
        lines += [
            f"### {device}",
            "",
            "| what | in | and how many times the first |",
            "|---|---|---|",
        ]
        for name, group in groups.items():
            rows = [*group.items()]
            first = rows[0][1]
            if first["device"] == device:
                cells = (
                    f"{SPOKEN.get(row, row)} {facts['value']:,.4g}"
                    + (f" ({facts['value'] / first['value']:.2f})" if number else "")
                    for number, (row, facts) in enumerate(rows)
                )
                lines.append(f"| {name} | {first['unit']} | {', '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def devices(groups: Groups) -> list[str]:
    """In the order of their first figure."""
    return [
        *dict.fromkeys(facts["device"] for group in groups.values() for facts in group.values())
    ]


def page(text: str, results: Groups) -> str:
    """The page with its tables replaced."""
    for name, table in (("contenders", contenders(results)), ("costs", costs(results))):
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = text.split(begin)
        text = before + begin + "\n" + table + "\n" + end + rest.split(end)[1]
    return text


def main() -> None:
    """Keep the groups of the files named, then write the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for path in sys.argv[1:]:
        results |= kept(json.loads(Path(path).read_text()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = page(PAGE.read_text(encoding="utf-8"), results)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
