"""Every first-party variant, trained alike on sprites and on MNIST: docs/zoo.md.

    python benchmarks/reproduce/zoo.py [NAME ...] [--data mnist] [--runs runs/zoo]

Each is trained by ``vaezoo train NAME --data DATA --steps N`` with its defaults, and measured on
the test split; what is there already is left as it is. Then the sheets and the page are made. No
order of merit can be read off so short a schedule with one seed: what it shows is that all of them
train, and what their figures are like.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from machine import machine

import vaezoo
from vaezoo.cli import main as command
from vaezoo.data import Subset, as_data, evaluation_batches
from vaezoo.pictures.comparison import comparison
from vaezoo.registry import VariantSpec, lookup

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "zoo.json"
DOCS = HERE.parents[1] / "docs"
PAGE = DOCS / "zoo.md"
STEPS = {"sprites": 1000, "mnist": 1000}
TITLES = {"sprites": "sprites, 64x64, the default network", "mnist": "MNIST, grey, 784-400-16"}
SMALL = ["--model.network", "mlp", "--model.network.hidden", "400"]
LABELS = 100  # that m2-vae learns from
IMAGES, SAMPLES = 200, 64  # of the importance-weighted bound
SHOWN, TOGETHER = 10, 6  # examples of a sheet, and variants
COLUMNS = ("elbo", "log_likelihood", "reconstruction", "kl", "active_units", "seconds")
HEAD = f"""# The zoo

Every first-party variant, trained alike by `vaezoo train NAME` with its defaults for a short
schedule, by a [script](../benchmarks/reproduce/zoo.py) that writes this page and its pictures; a
test fails where the page and its [result file](../benchmarks/reproduce/results/zoo.json) disagree.
One seed and few steps: it shows that all of them train, and what their figures are like, **no
order of merit**. [Results](results.md) have ours beside published figures.

After 1,000 steps sprites are at the right place and of the right size, ellipses point the right
way, and squares and hearts are round still; `annealed-vae` (whose capacity is still small),
`piwae`, `nsf-vae`, `gumbel-vae` and `ladder-vae` have not come to the direction yet. Samples of
sprites have odd shapes, and some are empty: most often those of `gumbel-vae`. Samples of `vq-vae`
and `fsq-vae` are drawn code by code; a prior of their codes is fitted in a
[second stage](variants/discrete.md), which these runs have not had.

Nats per test example; ELBO with one sampled z, log p(x) the importance-weighted bound with
{SAMPLES} samples of the first {IMAGES} test images, KL of all latents, active units by Burda et
al. 2016. What is not defined for a variant is a dash: `ae`, `wae-mmd` and `vae-gan` have no
likelihood bound, and `gumbel-vae` has one of its relaxation. `cvae` and `m2-vae` are given labels
(m2-vae {LABELS} of them in training), so theirs are of log p(x|y) and of log p(x,y).
The figures of wae-mmd and sigma-vae are of a Gaussian density, the others' of a Bernoulli.
Seconds are of training alone, on one thread of a machine that had other work too."""


def variants() -> list[str]:
    """Vaezoo's own, in the order of the plugin's table of contents."""
    return [
        spec.name for spec, plugin in lookup.specs(VariantSpec) if plugin.name == "first-party"
    ]


def train(name: str, data: str, folder: Path) -> float:
    """A run of the command line; what it took in seconds, measuring and drawing included."""
    line = ["train", name, "--data", data, "--steps", str(STEPS[data]), "--out", str(folder)]
    line += SMALL if data == "mnist" else []
    if name == "m2-vae":
        line += ["--labels", str(LABELS)]
    started = time.perf_counter()
    if code := command([*line, "--seed", "0", "--overwrite"]):
        sys.exit(code)
    return time.perf_counter() - started


def measure(folder: Path, data: str) -> dict[str, Any]:
    """The figures of a run: its own, how many latents are active, and a bound that is tighter."""
    figures = json.loads((folder / "figures.json").read_text())
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    found = {name: figures.get(name) for name in ("elbo", "reconstruction", "kl")}
    found["elbo_standard_error"] = figures.get("elbo_standard_error")
    found["seconds"] = round(sum(record.get("seconds", 0.0) for record in records), 1)
    found["warnings"] = figures.get("warnings", [])
    model, source = vaezoo.load(folder / "model"), as_data(data).split("test")
    with contextlib.suppress(vaezoo.VaezooError):  # no site, no mean of q
        latents = vaezoo.evaluate(model, data, ["latents"])
        found["active_units"], found["latent_dim"] = latents["active_units"], latents["latent_dim"]
    x, y = first(source, IMAGES)
    with contextlib.suppress(vaezoo.NoBoundError):
        given = None if model.num_classes is None else y
        nats = model.log_likelihood(x, given, samples=SAMPLES, seed=0)
        found["log_likelihood"] = nats.mean().item()
        found["log_likelihood_standard_error"] = nats.std().item() / len(nats) ** 0.5
    undefined = [k for k, v in found.items() if isinstance(v, float) and not math.isfinite(v)]
    return {**found, **dict.fromkeys(undefined)}


def first(source: vaezoo.data.Source, n: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The first test examples, grey, and their labels."""
    batch = next(iter(evaluation_batches(Subset(source, range(n)), batch_size=n)))
    return batch.x, batch.y


def sheets(data: str, folder: Path, names: Iterable[str]) -> list[str]:
    """Reconstructions and samples of some variants at a time; the files' names."""
    chosen = [name for name in names if (folder / name / "model").exists()]
    x, y = first(as_data(data).split("test"), SHOWN)
    written = []
    for start in range(0, len(chosen), TOGETHER):
        some = chosen[start : start + TOGETHER]
        models = {name: vaezoo.load(folder / name / "model") for name in some}
        sheet = comparison(models, x, y, of=f"{data}, test split")
        written.append(f"zoo-{data}-{start // TOGETHER + 1}.png")
        sheet.convert("L").quantize(64).save(DOCS / "images" / written[-1], optimize=True)
    return written


def page(results: dict[str, Any]) -> str:
    """The page, of the result file alone."""
    text = [HEAD]
    for data, title in TITLES.items():
        rows = {name: results["rows"].get(f"{data}/{name}") for name in variants()}
        text += ["", f"## {title}, {STEPS[data]} steps", ""]
        text += ["| variant | ELBO | log p(x) | reconstruction | KL | active units | seconds |"]
        text += ["|---|---|---|---|---|---|---|"]
        text += [f"| `{name}` | {cells(row)} |" for name, row in rows.items()]
        for sheet in results.get("sheets", {}).get(data, []):
            text += ["", f"![Originals, reconstructions and samples of variants](images/{sheet})"]
    return "\n".join(text) + "\n"


def cells(row: dict[str, Any] | None) -> str:
    """A row of the table, behind its name."""
    if row is None:
        return "not run" + " |" * (len(COLUMNS) - 1)
    return " | ".join(cell(row, column) for column in COLUMNS)


def cell(row: dict[str, Any], column: str) -> str:
    """A figure as the page has it."""
    value = row.get(column)
    if value is None:
        return "-"
    if column == "active_units":
        return f"{value} of {row['latent_dim']}"
    error = row.get(f"{column}_standard_error")
    digits = 0 if column == "seconds" else 1
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.1f}")


def main() -> None:
    """Train and measure what is missing, then draw, then write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of variants; default: all")
    parser.add_argument("--data", nargs="*", default=[*STEPS], choices=[*STEPS])
    parser.add_argument("--runs", type=Path, default=Path("runs") / "zoo")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}, "sheets": {}}
    names = asked.names or variants()
    for data in asked.data:
        for name in names:
            folder = asked.runs / data / name
            if f"{data}/{name}" not in results["rows"]:
                train(name, data, folder)
                results["machine"] = machine()
                results["steps"] = STEPS
                results["rows"][f"{data}/{name}"] = measure(folder, data)
                order = {f"{d}/{n}": i for d in STEPS for i, n in enumerate(variants())}
                results["rows"] = dict(sorted(results["rows"].items(), key=lambda r: order[r[0]]))
                RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        results["sheets"][data] = sheets(data, asked.runs / data, variants())
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
