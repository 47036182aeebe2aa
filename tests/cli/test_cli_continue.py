"""``vaezoo train``: longer runs, fine-tuning, and ``--set``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from cli_helpers import SMALL

import vaezoo as zoo
from vaezoo.cli.overrides import asked_for, expanded
from vaezoo.cli.plan import make_plan

TINY = ["--data", "tiny", *SMALL]


def config(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def same(a, b):
    a, b = (zoo.load(folder).state_dict() for folder in (a, b))
    return all(torch.equal(a[name], b[name]) for name in a)


# Longer.


@pytest.mark.parametrize("more", [["--steps", "8"], ["--epochs", "1"]])
def test_a_finished_run_goes_on_for_longer(vaezoo, more):
    assert vaezoo("train", "vae", *TINY, "--out", "a").code == 0
    result = vaezoo("train", "--resume", "--out", "a", *more)
    assert result.code == 0, result.err
    assert "resuming at step 3" in result.err
    assert "step 8/8" in result.err
    assert config("a")["training"]["steps"] == 8
    assert [total["steps"] for total in config("a")["totals"]] == [3, 8]
    whole = ["--steps", "8", "--validate-every", "1"]
    assert vaezoo("train", "vae", *TINY, *whole, "--out", "b").code == 0
    assert same("a", "b")
    assert config("a")["overrides"]["steps"] == 3  # as it was begun


def test_as_many_steps_are_no_longer_run(vaezoo):
    assert vaezoo("train", "vae", *TINY, "--out", "a").code == 0
    result = vaezoo("train", "--resume", "--out", "a", "--steps", "3")
    assert result.err == "vaezoo: the run in a is finished already\n"
    error = vaezoo("train", "--resume", "--out", "a", "--steps", "5", "--seed", "1").error
    assert "training.seed was 0 and now is 1" in error
    assert (Path("a") / "figures.json").exists()


# Fine-tuning.


def test_fine_tuning_starts_from_the_weights_with_their_variant_and_parts(vaezoo):
    line = ["train", "beta-vae", *TINY, "--model.beta", "0.5", "--model.network.hidden", "7"]
    assert vaezoo(*line, "--out", "a").code == 0
    tuning = ["--init-from", "a", "--data", "tiny", "--steps", "1", "--batch-size", "8"]
    tuning += ["--learning-rate", "1e-12"]
    assert vaezoo("train", *tuning, "--out", "b").code == 0
    recorded = config("b")
    assert recorded["init_from"] == str(Path("a/model/model.safetensors"))
    assert recorded["model"]["variant"] == "beta-vae"
    assert recorded["model"]["options"]["beta"] == 0.5
    assert recorded["model"]["parts"]["network"]["hidden"] == [7]
    assert recorded["model"]["shared"]["latent_dim"] == 2
    a, b = (zoo.load(folder).state_dict() for folder in "ab")
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)
    # Another variant with the same parts, from the weights file.
    weights = "a/model/model.safetensors"
    assert vaezoo("train", "vae", *tuning[2:], "--init-from", weights, "--out", "c").code == 0
    assert config("c")["model"]["variant"] == "vae"
    assert config("c")["model"]["parts"]["network"]["hidden"] == [7]


def test_a_prior_over_codes_is_fitted_to_a_run_that_is_trained(vaezoo):
    line = ["train", "vq-vae", *TINY, "--model.codes", "8"]
    assert vaezoo(*line, "--out", "a").code == 0
    stage = ["--model.prior", "autoregressive", "--model.prior.width", "8"]
    stage += ["--model.stage", "prior", "--data", "tiny", "--steps", "2"]
    error = vaezoo("train", "vq-vae", *stage, "--out", "c").error
    assert "a model that is trained, and this one is new" in error
    result = vaezoo("train", "--init-from", "a", *stage, "--out", "b")
    assert result.code == 0, result.err
    recorded = config("b")["model"]
    assert (recorded["variant"], recorded["options"]["stage"]) == ("vq-vae", "prior")
    assert recorded["options"]["codes"] == 8
    a, b = (zoo.load(folder).state_dict() for folder in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert "prior.network.start" in b


def test_weights_that_do_not_fit_are_told_by_name(vaezoo, trained):
    line = ["train", "--init-from", trained["vae"], "--data", "tiny", "--steps", "2", "--out", "b"]
    error = vaezoo(*line, "--model.latent-dim", "3").error
    assert "does not fit its model: it has encoder.network" in error
    assert "instead of" in error
    assert "but for --model.latent_dim: leave out" in error
    assert "no saved model at nowhere" in vaezoo("train", "--init-from", "nowhere").error
    assert "not both" in vaezoo(*line, "--resume").error
    assert not Path("b").exists()


def test_a_run_without_a_checkpoint_yet_is_resumed_from_the_same_weights(vaezoo, trained):
    base = ["train", "--data", "tiny", "--batch-size", "8", "--steps", "4"]
    line = [*base, "--init-from", trained["vae"]]
    assert vaezoo(*line, "--out", "whole").code == 0
    assert vaezoo(*line, "--out", "cut").code == 0
    for name in ("checkpoints", "model"):
        shutil.rmtree(Path("cut") / name)
    for name in ("metrics.jsonl", "figures.json"):
        (Path("cut") / name).unlink()
    assert vaezoo("train", "--resume", "--out", "cut").code == 0
    assert same("whole", "cut")


def test_a_run_with_checkpoints_no_longer_needs_the_weights_it_began_with(vaezoo, trained):
    shutil.copytree(trained["vae"], "first")
    line = ["train", "--init-from", "first", "--data", "tiny", "--batch-size", "8", "--steps", "2"]
    assert vaezoo(*line, "--out", "second").code == 0
    shutil.rmtree("first")
    assert vaezoo("train", "--resume", "--out", "second", "--steps", "4").code == 0


# --set, and the record of what was asked for.


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("vae --set steps=5", "vae --steps=5"),
        ("--set training.steps=5 model.beta=-2 --seed 3", "--steps=5 --model.beta=-2 --seed 3"),
        ("--set=model.latent_dim=4", "--model.latent_dim=4"),
        ("--set model.network.hidden=9,7", "--model.network.hidden 9 7"),
        ("--set model.network.hidden=", "--model.network.hidden"),
        ("--set model.network.gated=true resume=true", "--model.network.gated --resume"),
        ("--set model.network.gated=false", "--model.network.no-gated"),
        ("vae --steps 5", "vae --steps 5"),
    ],
)
def test_set_is_another_way_to_write_flags(line, meant):
    assert expanded(line.split()) == meant.split()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("train --set", "--set takes KEY=VALUE"),
        ("train --set steps", "--set takes KEY=VALUE, as in --set model.beta=2, not 'steps'"),
        ("train --set =3", "--set takes KEY=VALUE"),
        ("train --set stps=3", "Did you mean '--steps'?"),
        ("train beta-vae --set model.bta=3", "Did you mean '--model.beta'?"),
        ("train vae --set data=tinny", "Did you mean 'tiny'?"),
        ("train vae --set steps=many", "--steps takes an integer, not 'many'"),
    ],
)
def test_mistakes_in_set_are_told_as_those_in_flags(vaezoo, line, hint):
    assert hint in vaezoo(*line.split()).error


def test_what_a_line_asks_for_is_recorded(vaezoo):
    line = ["train", "beta-vae", *TINY, "--set", "model.beta=2", "model.network.hidden=7,5"]
    line += ["--model.network", "mlp", "--model.network.gated", "--betas", "0.5", "0.9"]
    assert vaezoo(*line).code == 0
    assert config("runs/beta-vae-tiny")["overrides"] == {
        "steps": 3,
        "batch_size": 8,
        "model.latent_dim": 2,
        "model.beta": 2.0,
        "model.network.hidden": [7, 5],
        "model.network": "mlp",
        "model.network.gated": True,
        "betas": [0.5, 0.9],
    }
    plan = make_plan(["tiny/strict", "--data", "tiny", "--model.weight", "2", "--model.no-flag"])
    assert plan.overrides == {"model.weight": 2.0, "model.flag": False}
    assert make_plan([]).overrides == {}
    assert asked_for(["--out", "a", "--nonsense", "3"], plan.training, plan.options, {}) == {}
