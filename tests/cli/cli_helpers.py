"""What the tests of the command line share: a small plugin, and what a command line did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

PLUGIN = """
import vaezoo


@vaezoo.hookimpl
def vaezoo_specs():
    for name in ("tiny", "tiny-unlabelled", "tiny-rows", "tiny-wide"):
        attribute = name.replace("-", "_")
        yield vaezoo.DatasetSpec(name=name, target=f"tiny_vaezoo_data:{attribute}")
    yield vaezoo.VariantSpec(
        name="tiny/needy", target="tiny_vaezoo_data:needy", summary="Needs what is not there",
        requires=("no-such-distribution",),
    )
    yield vaezoo.VariantSpec(
        name="tiny/strict", target="tiny_vaezoo_data:strict", summary="Has a required option",
    )
    yield vaezoo.MetricSpec(
        name="tiny/brightness", target="tiny_vaezoo_data:brightness",
        summary="What the examples add up to", units={"brightness": "lumens"},
    )
"""
DATA = '''
from __future__ import annotations
from dataclasses import dataclass
import torch, vaezoo
from vaezoo.data import TensorSource, named_splits
from vaezoo.options import NoOptions


def _data(name, shape, labelled=True):
    generator = torch.Generator().manual_seed(0)
    splits = {}
    for split, n in {"train": 64, "validation": 16, "test": 16}.items():
        x = torch.rand(n, *shape, generator=generator)
        y = torch.arange(n) % 3 if labelled else None
        splits[split] = TensorSource(x, y), f"{n} random examples"
    return named_splits(name, splits, classes=("a", "b", "c") if labelled else ())


def tiny(options: NoOptions, root): return _data("tiny", (1, 8, 8))
def tiny_unlabelled(options: NoOptions, root): return _data("tiny-unlabelled", (1, 8, 8), False)
def tiny_rows(options: NoOptions, root): return _data("tiny-rows", (5,))
def tiny_wide(options: NoOptions, root): return _data("tiny-wide", (1, 32, 36))


@dataclass(frozen=True, kw_only=True)
class Strict:
    weight: float
    """What the KL is multiplied by."""
    flag: bool = True
    """A switch."""


@dataclass(frozen=True, kw_only=True)
class Brightness:
    factor: float = 1.0
    """What a unit of it is worth."""


def brightness(options: Brightness):
    def compute(evaluation):
        total = sum(batch.x.sum().item() for batch in evaluation.batches())
        return {"brightness": options.factor * total, "darkness": float("nan")}

    return compute


def strict(options: Strict, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = vaezoo.ELBO(options.weight)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
'''
SMALL = ["--steps", "3", "--batch-size", "8", "--model.latent-dim", "2"]


def install(folder: Path, distribution: str, module: str, files: dict[str, str]) -> None:
    """A distribution as pip leaves it: modules, and their entry point."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    info = folder / f"{distribution.replace('-', '_')}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[vaezoo]\n{module} = {module}\n")


class Result:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def error(self) -> str:
        """The one line that a mistake is answered with."""
        lines = self.err.splitlines()
        assert self.code == 2, (self.code, self.err)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("vaezoo: error: ")
        assert not self.out
        return lines[0].removeprefix("vaezoo: error: ")


def process(*argv: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a process of its own."""
    command = [sys.executable, "-m", "vaezoo.cli", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)
