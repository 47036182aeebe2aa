"""``vaezoo train NAME NAME``: several variants, trained alike and compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from cli_helpers import SMALL

import vaezoo as zoo
from vaezoo.cli import defaults
from vaezoo.cli.plan import make_plan
from vaezoo.training.step import TrainingStep

TINY = ["--data", "tiny", *SMALL]


def config(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def rows(out):
    """The table's cells, by variant."""
    found = (line.split() for line in out.splitlines())
    return {cells[0]: cells[1:] for cells in found if cells[1:2] in (["bernoulli"], ["gaussian"])}


def test_an_ae_and_a_vae_are_compared_in_one_command(vaezoo):
    result = vaezoo("train", "ae", "vae", *TINY)
    assert result.code == 0, result.err
    alone = {name: config(f"runs/{name}-tiny") for name in ("ae", "vae")}
    assert alone["ae"]["training"] == alone["vae"]["training"]
    assert alone["ae"]["data"] == alone["vae"]["data"]
    assert alone["ae"]["model"]["shared"] == alone["vae"]["model"]["shared"]

    header, *_ = (line for line in result.out.splitlines() if line.startswith("variant"))
    assert header.split()[:6] == [
        "variant",
        "p(x|z)",
        "elbo",
        "(nats)",
        "reconstruction",
        "(nats)",
    ]
    found = rows(result.out)
    assert found["ae"][:2] == ["bernoulli", "none"]  # no bound
    for name in ("ae", "vae"):
        figures = json.loads(Path(f"runs/{name}-tiny/figures.json").read_text())
        assert f"{figures['reconstruction']:,.2f}" in found[name]
    assert "tiny, test: 16 examples" in result.out
    assert "cannot be compared" not in result.out
    picture = Path("runs/comparison-ae-vae-tiny.png")
    assert result.out.splitlines()[-1] == f"picture   {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "vaezoo: vae, 2 of 2, in runs/vae-tiny" in result.err


def test_each_is_what_it_would_be_alone(vaezoo):
    assert vaezoo("train", "vae", "cvae", *TINY, "--out", "both").code == 0
    assert vaezoo("train", "cvae", *TINY, "--out", "alone").code == 0
    a, b = (zoo.load(folder).state_dict() for folder in ("both/cvae-tiny", "alone"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert Path("both/comparison-vae-cvae-tiny.png").exists()


def test_data_without_a_picture_have_a_table(vaezoo):
    result = vaezoo("train", "ae", "sigma-vae", "--data", "tiny-rows", *SMALL)
    assert result.code == 0, result.err
    assert {*rows(result.out)} == {"ae", "sigma-vae"}
    assert "picture" not in result.out


def test_nats_under_different_likelihoods_come_with_a_warning(vaezoo):
    result = vaezoo("train", "vae", "sigma-vae", *TINY)
    assert "Nats under different likelihoods cannot be compared." in result.out


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ae nope", "unknown variant 'nope'"),
        ("ae vae ae", "ae is named twice"),
        ("ae beta-vae --model.beta 3", "ae cannot be trained with the others: .*'--model.beta'"),
        ("vae sigma-vae --model.likelihood bernoulli", "sigma-vae cannot .* calibrates"),
        ("vae tiny/needy", "tiny/needy cannot be .* no-such-distribution"),
        ("vae ae --resume --overwrite", "not both"),
        ("vae ae --stps 3", "'--stps'"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(vaezoo, line, what):
    error = vaezoo("train", *line.split(), *TINY).error
    assert re.search(what, error), error
    assert not Path("runs").exists()


def test_a_folder_that_holds_one_of_the_runs_is_refused_at_once(vaezoo):
    assert vaezoo("train", "vae", *TINY).code == 0
    assert "runs/vae-tiny already holds a run" in vaezoo("train", "ae", "vae", *TINY).error
    assert not Path("runs/ae-tiny").exists()
    assert vaezoo("train", "ae", "vae", *TINY, "--overwrite").code == 0


def test_an_interrupted_comparison_goes_on_where_it_was(vaezoo, monkeypatch):
    original = TrainingStep.__call__
    started = []

    def press(self, batch, step):
        started.append(step)
        if len(started) == 5:  # the second step of the second run
            raise KeyboardInterrupt
        original(self, batch, step)

    monkeypatch.setattr(TrainingStep, "__call__", press)
    result = vaezoo("train", "vae", "ae", *TINY)
    assert result.code == 130
    command = f"vaezoo train vae ae {' '.join(TINY)} --resume"
    assert result.err.splitlines()[-1] == f"vaezoo: interrupted: continue with `{command}`"

    result = vaezoo(*command.split()[1:])
    assert result.code == 0, result.err
    assert "the run in runs/vae-tiny is finished already" in result.err
    assert {*rows(result.out)} == {"vae", "ae"}


def test_runs_that_were_trained_otherwise_are_not_compared(vaezoo):
    assert vaezoo("train", "vae", "--data", "tiny", "--steps", 4, "--batch-size", 8).code == 0
    line = ["train", "vae", "ae", "--data", "tiny", "--batch-size", 8, "--resume"]
    error = vaezoo(*line).error
    assert "vae and ae cannot be compared: they differ in " in error
    assert "steps" in error
    assert not Path("runs/ae-tiny").exists()
    assert vaezoo(*line, "--steps", 4).code == 0


def test_on_the_default_data_all_get_the_sizes_of_the_preset():
    for name in ("ae", "beta-vae"):
        plan = make_plan([name])
        assert plan.training.steps == defaults.TRAINING["steps"]
        config = plan.model().config
        assert config.shared["latent_dim"] == defaults.SIZES["latent_dim"]
        assert config.parts["network"]["patch"] == defaults.SIZES["network"]["patch"]
    assert plan.options["beta"] == defaults.MODEL["beta"]
    config = make_plan(["ae", "--model.latent-dim", "7"]).model().config
    assert config.shared["latent_dim"] == 7
    assert config.parts["network"]["patch"] == defaults.SIZES["network"]["patch"]


def test_help_is_that_of_the_first(vaezoo):
    result = vaezoo("train", "vae", "ae", "--help")
    assert result.code == 0
    assert "with the options of vae" in result.out
