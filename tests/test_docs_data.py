"""What docs/data.md shows, works: every command and snippet is run, with less training."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaezoo
from vaezoo.cli import main
from vaezoo.options import options_class, options_of
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
SHORT = ["--steps", "2", "--batch-size", "4", "--validate-every", "2"]


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "other-photos"):
        Path(folder).mkdir()
        for i in range(20):
            Image.new("RGB", (40 + i, 30), (9 * i, 80, 90)).save(f"{folder}/{i}.jpg")
    generator = np.random.default_rng(0)
    np.savez("images.npz", x=generator.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8))
    for name in ("table.csv", "new.csv"):
        rows = [
            f"{a},{b},{'xy'[i % 2]}" for i, (a, b) in enumerate(generator.normal(size=(30, 2)))
        ]
        Path(name).write_text("\n".join(["a,b,species", *rows]))


def run_commands() -> None:
    for line in (line for code in snippets("bash") for line in code.splitlines()):
        command = shlex.split(line)[1:]
        assert main([*command, *(SHORT if command[0] == "train" else [])]) == 0, line


def test_the_commands_and_then_the_snippets_run() -> None:
    run_commands()
    for name in ("data-photos.png", "others.png", "runs/vae-photos/samples/reconstructions.png"):
        assert Path(name).exists()
    for folder in ("decoded", "reconstructed", "samples"):
        assert len(list(Path(folder).glob("*.png"))) == 20
    for name, rows in (("codes", 30), ("decoded", 30), ("scores", 30), ("made-up", 1000)):
        assert len(Path(f"{name}.csv").read_text().splitlines()) == 1 + rows
    names: dict[str, Any] = {"vaezoo": vaezoo}
    for code in snippets("python"):
        exec(code.replace("steps=2000", "steps=2, progress=False"), names)
    assert names["codes"].shape == (30, 16)
    assert names["nats_in_file_units"].shape == (30,)
    assert names["made_up"].shape == (5, 2)


@pytest.mark.parametrize("name", ["image-folder", "csv"])
def test_the_tables_name_the_options_that_there_are(name: str) -> None:
    recipe = lookup.recipe(lookup.find(DatasetSpec, name))
    shared = {"path", "validation", "test", "split_seed"}
    options = {option.name for option in options_of(options_class(recipe))} - shared
    table = next(
        part
        for part in re.findall(r"\| option \|.*?\n\n", PAGE, flags=re.DOTALL)
        if ("image_size" in options) == ("image_size" in part)
    )
    cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == options


def test_every_dataset_of_the_core_is_on_the_page() -> None:
    core = lookup.plugins()[0]
    for spec in core.specs:
        if isinstance(spec, DatasetSpec):
            assert f"`{spec.name}`" in PAGE, spec.name
