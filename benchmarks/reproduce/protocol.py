"""Rows of published tables of likelihoods: training in pieces, measuring, and what is kept.

A script names its rows and calls ``command``:

    python benchmarks/reproduce/SCRIPT.py [ROW ...] [--minutes 9] [--runs DIR] [--smoke]

A row's run is a folder of ``--runs``: what was stopped, by ``--minutes``, Ctrl-C or a crash, goes
on from its checkpoint at the next call. A trained row is measured on the test split, and only that
makes its figures; the result file tells of a row that was stopped how far it came. With
``--minutes`` a call either trains or measures, so that each stays short.
"""

from __future__ import annotations

import _thread
import argparse
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from machine import machine

import vaezoo
from vaezoo.data import Data, as_data
from vaezoo.training.run_folder import finite

RUNS = Path("runs") / "reproduce"
SMOKE: dict[str, Any] = {"epochs": None, "steps": 4, "execution": "eager", "patience": None}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a published table, and how it is made."""

    name: str
    variant: str | None
    """As ``vaezoo.create`` takes it. Where it is not registered, or None because nobody has
    written it yet, the row is not run."""
    model: dict[str, Any]
    """The options of ``create``."""
    network: str
    """In a few words."""
    data: dict[str, Any]
    training: dict[str, Any]
    """Of ``TrainingConfig``, but for what is counted in epochs: see ``milestones``."""
    milestones: tuple[int, ...] = ()
    """Epochs after which the learning rate falls."""
    warmup: int = 0
    """Epochs over which the KL's weight rises."""
    samples: int
    """Importance samples for each test image."""
    published: str
    """-log p(x) of the test images, nats."""
    source: str
    departs: str = ""
    """What the protocol has and this has not."""
    initialise: Callable[[vaezoo.VAE, Data], None] | None = field(default=None, compare=False)
    """Sets the weights that training starts from."""


def missing(row: Row) -> str:
    """What must be there before the row can be run, or ""."""
    if row.variant is None:
        return "needs a variant that nobody has written yet"
    try:
        build(row)
    except vaezoo.UnknownVariantError:
        return f"needs the variant {row.variant!r}"
    except vaezoo.UnknownComponentError as error:
        return f"needs a part that is not registered: {error}"
    return ""


def build(row: Row, **options: Any) -> vaezoo.VAE:
    """The row's untrained model."""
    assert row.variant is not None
    torch.manual_seed(row.training.get("seed", 0))
    return vaezoo.create(row.variant, **{**row.model, **options})


def train(row: Row, data: Data, folder: Path, minutes: float | None) -> bool:
    """Begin or continue; whether training has come to its end."""
    steps_per_epoch = len(data.train) // row.training["batch_size"]
    options = dict(row.training)
    if row.milestones:
        options["lr_milestones"] = tuple(epoch * steps_per_epoch for epoch in row.milestones)
    warmup = {"warmup_steps": row.warmup * steps_per_epoch} if row.warmup else {}
    model = build(row, **warmup)
    if row.initialise is not None:
        row.initialise(model, data)
    keep_outputs(model)
    begun = (folder / "config.json").exists()
    try:
        with interrupted_after(minutes):
            vaezoo.fit(model, data, out=folder, resume=begun, **options)
    except KeyboardInterrupt:
        return False
    return True


def keep_outputs(model: vaezoo.VAE) -> None:
    """Let the decoder start where it was initialised, as the paper has it: not at the data's mean
    of the first batch."""
    model.decoder.prepare = lambda batch: None


def measure(row: Row, data: Data, folder: Path) -> dict[str, Any]:
    """Figures of the run's model on the test split, with what they cost."""
    model = vaezoo.load(folder, device="cuda" if torch.cuda.is_available() else "cpu")
    metrics = ["elbo", {"name": "log-likelihood", "samples": row.samples}, "latents"]
    started = time.perf_counter()
    kind = row.training["binarization"]
    figures = vaezoo.evaluate(model, data, metrics, split="test", binarization=kind)
    seconds = round(time.perf_counter() - started, 1)
    return {"figures": finite(figures), "seconds_of_evaluation": seconds}


def run(row: Row, folder: Path, minutes: float | None) -> dict[str, Any]:
    """What there is to keep of the row after this call."""
    data = as_data(row.data)
    result: dict[str, Any] = {"published": row.published, "samples": row.samples}
    trained = (folder / "figures.json").exists()
    if not trained:
        trained = train(row, data, folder, minutes)
        if not trained or minutes is not None:
            return {**result, "state": "trained" if trained else "stopped", **progress(folder)}
    return {**result, "state": "done", **progress(folder), **measure(row, data, folder)}


def progress(folder: Path) -> dict[str, Any]:
    """How far the run came, what it cost, on what machine, and its config."""
    if not (folder / "config.json").exists():
        raise SystemExit("stopped before the run began: give more --minutes")
    config = json.loads((folder / "config.json").read_text())
    metrics = folder / "metrics.jsonl"
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    records = [record for record in map(json.loads, lines) if record["split"] == "train"]
    return {
        "epochs": round(records[-1]["epoch"], 2) if records else 0,
        "epochs_of_the_protocol": config["training"]["epochs"],
        "seconds_of_training": round(sum(record["seconds"] for record in records), 1),
        "machine": machine(),
        "config": {part: config[part] for part in ("model", "data", "training")},
    }


@contextmanager
def interrupted_after(minutes: float | None) -> Iterator[None]:
    """As if Ctrl-C were pressed after so many minutes: training saves a checkpoint and stops."""
    if minutes is None:
        yield
        return
    timer = threading.Timer(60 * minutes, _thread.interrupt_main)
    timer.daemon = True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def smoke(row: Row) -> Row:
    """The same, with a few steps and samples: it shows that the row runs, and nothing else."""
    training = {**row.training, **SMOKE}
    milestones = tuple(range(1, 1 + len(row.milestones)))
    return replace(
        row, training=training, milestones=milestones, warmup=min(row.warmup, 1), samples=3
    )


def command(rows: Sequence[Row], results: Path, *, description: str | None) -> None:
    """The command line of a script: run the rows, and keep each result as it is made."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    names = [row.name for row in rows]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"default: all. {', '.join(names)}")
    parser.add_argument("--minutes", type=float, help="stop training after so many")
    parser.add_argument("--runs", type=Path, default=RUNS / results.stem)
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--smoke", action="store_true", help="a few steps: does it run?")
    asked = parser.parse_args()
    if unknown := [name for name in asked.rows if name not in names]:
        parser.error(f"no row is called {unknown[0]!r}; there are {', '.join(names)}")
    path: Path = asked.results
    kept = json.loads(path.read_text()) if path.exists() else {}
    for row in rows:
        if row.name not in (asked.rows or names):
            continue
        if kept.get(row.name, {}).get("state") == "done":
            print(f"{row.name}: {told(kept[row.name])}")  # noqa: T201
            continue
        if why := missing(row):
            print(f"{row.name}: not run: {why}")  # noqa: T201
            continue
        kept[row.name] = run(
            smoke(row) if asked.smoke else row, asked.runs / row.name, asked.minutes
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(kept, indent=2, allow_nan=False) + "\n")
        print(f"{row.name}: {told(kept[row.name])}")  # noqa: T201
        if kept[row.name]["state"] != "done":
            return  # the time is spent


def told(result: dict[str, Any]) -> str:
    """One line of a result."""
    if result["state"] != "done":
        epochs, whole = result["epochs"], result["epochs_of_the_protocol"]
        return f"{result['state']} after {epochs} of {whole} epochs"
    figures = result["figures"]
    nats, error = figures["log_likelihood"], figures["log_likelihood_standard_error"]
    return f"-log p(x) {-nats:.2f} +- {error:.2f} nats, published {result['published']}"
