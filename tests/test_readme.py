"""What the README shows, works: every snippet is executed, with less training."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vaezoo
from vaezoo.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHORTER = [("steps=2000", "steps=3, batch_size=16, validate_every=3, progress=False")]


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def python() -> list[str]:
    return [code for code in snippets("python") if not code.startswith("# vaezoo_mine")]


def shorter(code: str) -> str:
    for long, short in SHORTER:
        code = code.replace(long, short)
    return code


def test_the_python_snippets_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in python():
        exec(compile(shorter(code), "README.md", "exec"), names)
    assert (tmp_path / "runs/first/samples/reconstructions.png").exists()
    assert names["z"].shape == (8, 20)
    assert names["better"].shape == (8,)
    assert isinstance(names["model"].encoder, names["MyEncoder"])


def test_the_plugin_of_the_readme_works(install_plugin: Callable[..., Path]) -> None:
    hook, model = [code for code in snippets("python") if code.startswith("# vaezoo_mine")]
    (entry,) = snippets("toml")
    assert 'mine = "vaezoo_mine"' in entry
    install_plugin(
        distribution="vaezoo-mine",
        entry_point="mine",
        code={"vaezoo_mine/__init__.py": hook, "vaezoo_mine/model.py": model},
    )
    capped = vaezoo.create("mine/capped-vae", rate=2.0, input_shape=(12,), latent_dim=3)
    vaezoo.fit(capped, torch.randn(64, 12), steps=3, batch_size=16, progress=False)
    report = vaezoo.testing.check_variant("mine/capped-vae")
    assert "fullgraph" in " ".join(report.passed) or len(report.passed) > 10


def commands() -> list[list[str]]:
    lines = [line for code in snippets("bash") for line in code.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("vaezoo ")]


@pytest.mark.data
def test_the_commands_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(20):
        Image.new("RGB", (80 + i, 70), (9 * i, 80, 90)).save(f"photos/{i}.jpg")
    rows = np.random.default_rng(0).normal(size=(30, 5)).tolist()
    (tmp_path / "table.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    for command in commands():
        if command[0] == "train":
            if "--epochs" in command:
                place = command.index("--epochs")
                del command[place : place + 2]
            command += ["--steps", "3", "--validate-every", "3", "--batch-size", "16"]
        assert main(command) == 0, command
    out = capsys.readouterr().out
    assert "beta-vae" in out
    for run, picture in [("mnist", "traversals"), ("fashion", "samples")]:
        assert (tmp_path / "runs" / run / "samples" / f"{picture}.png").exists()


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_ci_calls_the_readmes_test_command() -> None:
    (command,) = [
        line for code in snippets("bash") for line in code.splitlines() if "pytest" in line
    ]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_its_figures_are_those_of_the_result_file() -> None:
    path = ROOT / "benchmarks" / "reproduce" / "results" / "mlp_784_400_20.json"
    for result in json.loads(path.read_text())["results"]:
        figures = result["figures"]
        row = f"{-figures['elbo']:.1f} ± {figures['elbo_standard_error']:.1f}"
        assert f"| {row} | {figures['reconstruction']:.1f} | {figures['kl']:.1f} |" in README


def test_the_classic_figure_is_where_others_have_found_it() -> None:
    """-ELBO of 104 to 107 nats on grey MNIST after 10 epochs, with sampled z."""
    path = ROOT / "benchmarks" / "reproduce" / "results" / "mlp_784_400_20.json"
    grey = json.loads(path.read_text())["results"][0]
    assert (grey["data"], grey["binarization"]) == ("mnist", "none")
    assert 104 < -grey["figures"]["elbo"] < 107
