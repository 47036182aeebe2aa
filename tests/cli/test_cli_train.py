"""``vaezoo train``: what a line asks for, what it leaves behind, and how it goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cli_helpers import SMALL, process
from PIL import Image

import vaezoo as zoo
from vaezoo.cli import defaults
from vaezoo.cli.overrides import expanded
from vaezoo.cli.plan import make_plan

DAMAGED = '{"model": {}, "data": {}, "training": {}}'
VARIANTS = zoo.list_variants()
TINY = ["--data", "tiny", *SMALL]


def config(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def planned(*argv):
    """What a line asks for: training, and model options."""
    plan = make_plan([str(argument) for argument in argv])
    return plan.training, plan.options


def test_a_run_ends_with_a_model_its_figures_and_its_pictures(vaezoo):
    result = vaezoo("train", "vae", *TINY)
    assert result.code == 0
    run = Path("runs/vae-tiny")
    assert "tiny, test: 16 examples" in result.out
    for name in ("elbo", "reconstruction", "kl"):
        assert any(line.startswith(name) for line in result.out.splitlines())
    assert f"model     {run / 'model'}" in result.out
    for picture in ("reconstructions", "samples", "traversals", "training_curve"):
        assert f"picture   {run / 'samples' / picture}.png" in result.out
        assert (run / "samples" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert zoo.load(run).input_shape == (1, 8, 8)
    assert "step 3/3" in result.err
    assert "step 3/3" not in result.out


def test_the_data_decide_the_shape_and_the_classes(vaezoo):
    assert vaezoo("train", "vae", "--data", "tiny-rows", *SMALL).code == 0
    model = config("runs/vae-tiny-rows")["model"]
    assert model["shared"] == {"input_shape": [5], "latent_dim": 2}
    assert vaezoo("train", "cvae", *TINY).code == 0
    assert config("runs/cvae-tiny")["model"]["shared"]["num_classes"] == 3


def test_flags_reach_the_model_and_its_parts(vaezoo):
    flags = "--model.beta 0.5 --model.network mlp --model.network.hidden 7 5 --model.network.gated"
    flags += " --model.likelihood gaussian --model.likelihood.sigma optimal"
    assert vaezoo("train", "beta-vae", *TINY, *flags.split()).code == 0
    model = config("runs/beta-vae-tiny")["model"]
    assert model["options"]["beta"] == 0.5
    assert model["parts"]["network"] == {
        "name": "mlp",
        "hidden": [7, 5],
        "activation": "relu",
        "gated": True,
        "norm": "none",
        "dropout": 0.0,
    }
    assert model["parts"]["likelihood"]["sigma"] == "optimal"


def test_a_parts_options_without_its_name_are_those_of_the_default_part():
    line = ["vae", "--model.network.hidden", "7"]
    assert planned(*line, "--data", "tiny")[1]["network"]["name"] == "mlp"
    wide = planned(*line, "--data", "tiny-wide", "--model.network.channels=3")[1]["network"]
    assert wide["name"] == "conv"
    assert (wide["hidden"], wide["channels"]) == ((7,), (3,))
    learned = ["cvae", "--data", "tiny", "--model.learned-prior"]
    assert "prior" not in planned(*learned)[1]


def test_a_latent_shape_on_the_line_goes_before_a_latent_dim_of_the_preset():
    line = ["--model.latent-shape", 4, 8, 8]
    options = planned(*line)[1]
    assert (options["latent_dim"], options["latent_shape"]) == (None, (4, 8, 8))
    with pytest.raises(zoo.OptionError, match="not both"):
        make_plan([*map(str, line), "--model.latent-dim", "3"]).model()


def test_an_option_that_may_be_none_takes_none():
    training, _ = planned("vae", "--data", "tiny", "--clip-norm", "None", "--steps", "None")
    assert (training.clip_norm, training.steps) == (None, None)
    assert planned("vae", "--data", "tiny", "--clip-norm", "2")[0].clip_norm == 2.0


def test_no_hidden_widths_are_no_hidden_layers():
    line = ["vae", "--data", "tiny", "--model.network.hidden", "--steps", "3"]
    assert planned(*line)[1]["network"].items() >= {"name": "mlp", "hidden": ()}.items()


def test_required_options_and_switches_have_flags():
    line = ["tiny/strict", "--data", "tiny", "--model.weight", "2", "--model.no-flag"]
    assert planned(*line)[1].items() >= {"weight": 2.0, "flag": False}.items()


def test_the_default_run_has_its_preset_and_flags_go_over_it(monkeypatch):
    model = {
        "latent_dim": 7,
        "beta": 3.0,
        "network": {"name": "mlp", "hidden": [9], "gated": True},
    }
    monkeypatch.setattr(defaults, "TRAINING", {"steps": 77, "batch_size": 5})
    monkeypatch.setattr(defaults, "MODEL", model)

    training, options = planned()
    assert (training.steps, training.batch_size) == (77, 5)
    assert options.items() >= {"latent_dim": 7, "beta": 3.0}.items()
    assert options["network"].items() >= {"hidden": (9,), "gated": True}.items()

    training, options = planned("beta-vae", "--epochs", 2, "--model.network.hidden", 4)
    assert (training.steps, training.epochs, training.batch_size) == (None, 2, 5)
    assert options["network"].items() >= {"hidden": (4,), "gated": True}.items()
    assert planned("--model.network", "conv")[1]["network"]["name"] == "conv"
    assert planned("--model.network", "mlp")[1]["network"]["hidden"] == (9,)
    assert "network" not in planned("--model.network", "None")[1]

    training, options = planned("vae")  # the same data: an epoch of them would take too long
    assert (training.steps, training.batch_size) == (77, 5)
    assert options["latent_dim"] is None
    training, options = planned("--data", "tiny")
    assert (training.steps, training.batch_size) == (None, None)
    assert options["latent_dim"] is None


def test_the_default_run_fits_the_options_that_there_are():
    training, options = planned()
    assert training.steps == defaults.TRAINING["steps"]
    assert options["latent_dim"] == defaults.MODEL["latent_dim"]
    assert make_plan([]).target.out == Path("runs/beta-vae-sprites")


@pytest.mark.parametrize("steps", [4, 1300, 26_000])
def test_the_warm_ups_of_the_preset_keep_their_share_of_a_run(steps):
    share = steps / defaults.TRAINING["steps"]
    training, options = planned("--steps", steps)
    assert training.lr_warmup_steps == int(share * defaults.TRAINING["lr_warmup_steps"])
    assert options["warmup_steps"] == int(share * defaults.MODEL["warmup_steps"])
    said = planned("--steps", steps, "--lr-warmup-steps", 3, "--model.warmup-steps", 2)
    assert (said[0].lr_warmup_steps, said[1]["warmup_steps"]) == (3, 2)


def test_the_same_line_gives_the_same_weights(vaezoo):
    for out in "ab":
        torch.rand(3)  # the state of the generator does not matter
        assert vaezoo("train", "vae", *TINY, "--out", out).code == 0
    a, b = (zoo.load(out).state_dict() for out in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert vaezoo("train", "vae", *TINY, "--out", "c", "--seed", 1).code == 0
    c = zoo.load("c").state_dict()
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_a_folder_that_holds_a_run_is_refused_unless_told_what_to_do(vaezoo):
    assert vaezoo("train", "vae", *TINY).code == 0
    before = Path("runs/vae-tiny/model/model.safetensors").read_bytes()
    for out in ([], ["--out", "runs/vae-tiny"]):
        error = vaezoo("train", "vae", *TINY, *out).error
        assert "runs/vae-tiny already holds a run" in error
        assert "--resume" in error
        assert "--overwrite" in error
    assert Path("runs/vae-tiny/model/model.safetensors").read_bytes() == before
    assert vaezoo("train", "vae", *TINY, "--seed", 1, "--overwrite").code == 0
    assert Path("runs/vae-tiny/model/model.safetensors").read_bytes() != before


def test_a_finished_run_says_so_when_it_is_resumed(vaezoo):
    assert vaezoo("train", "vae", *TINY).code == 0
    before = Path("runs/vae-tiny/metrics.jsonl").read_bytes()
    agreeing = ["vae", *TINY], ["--out", "runs/vae-tiny"], ["vae", "--data", "tiny"]
    for line in agreeing:
        result = vaezoo("train", *line, "--resume", "--data-root", ".")
        assert result.code == 0
        assert result.err == "vaezoo: the run in runs/vae-tiny is finished already\n"
        assert "elbo" in result.out
    assert Path("runs/vae-tiny/metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", "3", b"\xff", "[" * 10**5, '{"data": "tiny", "split": 3}']
)
def test_damaged_figures_are_told(vaezoo, trained, tmp_path, text):
    run = tmp_path / "run"
    shutil.copytree(trained["vae"], run)
    (run / "figures.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = vaezoo("train", "--resume", "--out", run)
    assert (result.code, result.out) == (2, "")
    assert f"vaezoo: error: {run / 'figures.json'} " in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("vae --steps 2", "training.steps was 3 and now is 2, and a run can only be made longer"),
        ("vae --learning-rate 1", "training.learning_rate"),
        ("vae --model.latent-dim 3", "model.shared.latent_dim was 2 and now is 3"),
        ("vae --model.network.hidden 3", "model.parts.network.hidden"),
        ("beta-vae", "another variant: it has 'vae'"),
        ("--data tiny-wide", "another data: it has 'tiny'"),
    ],
)
def test_flags_must_agree_with_the_run_that_is_resumed(vaezoo, trained, line, what):
    line = ["train", *line.split(), "--resume", "--out", trained["vae"]]
    assert what in vaezoo(*line).error


def test_resuming_where_there_is_no_run_yet_starts_it(vaezoo):
    result = vaezoo("train", "vae", *TINY, "--resume")
    assert result.code == 0
    assert result.err.startswith("vaezoo: runs/vae-tiny holds no run yet: starting one\n")


def test_a_damaged_config_is_told(vaezoo, trained, tmp_path):
    for text in ("{", "[]", DAMAGED, DAMAGED.replace("{}", "3")):
        (tmp_path / "config.json").write_text(text)
        assert str(tmp_path) in vaezoo("train", "--resume", "--out", tmp_path).error


def test_ctrl_c_saves_and_tells_how_to_go_on(vaezoo, tmp_path):
    long = "--data tiny --steps 600 --batch-size 8 --model.latent-dim 2"
    long += " --validate-every 300 --log-every 5"
    out = tmp_path / "a run"
    line = ["train", "vae", *long.split(), "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "vaezoo.cli", *line], stderr=subprocess.PIPE, text=True
    ) as running:
        metrics = out / "metrics.jsonl"
        deadline = time.monotonic() + 60
        while not (metrics.exists() and metrics.stat().st_size):
            assert running.poll() is None, running.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    told = f"vaezoo: interrupted: continue with `vaezoo train --resume --out '{out}'`"
    assert errors.splitlines()[-1] == told
    assert "Traceback" not in errors
    assert [*(out / "checkpoints").glob("step-*")]

    resumed = process("train", "--resume", "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming at step" in resumed.stderr
    assert "elbo" in resumed.stdout
    assert vaezoo("train", *line[1:-1], out.parent / "whole").code == 0
    a, b = (zoo.load(folder).state_dict() for folder in (out, out.parent / "whole"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def photos(folder, count=12, size=48, mode="RGB"):
    folder.mkdir()
    for i in range(count):
        Image.effect_noise((size, size), 50).convert(mode).save(folder / f"{i}.png")
    return folder


def made(*argv):
    """The config of the model that a line asks for."""
    return make_plan([str(argument) for argument in argv]).model().config


def test_few_images_get_a_spatial_code_unless_a_code_or_network_is_said(tmp_path, monkeypatch):
    line = ["vae", "--data", photos(tmp_path / "photos"), "--image-size", "64"]
    config = made(*line)
    assert config.shared == {"input_shape": [3, 64, 64], "latent_shape": [8, 16, 16]}
    assert config.parts["network"]["name"] == "resnet"
    assert config.parts["likelihood"]["sigma"] == "optimal"
    for said in (
        ["--model.latent-dim", 5],
        ["--model.network", "conv"],
        ["--set", "model.latent_dim=5"],
    ):
        config = made(*expanded([*map(str, line + said)]))
        assert "latent_shape" not in config.shared
        assert config.parts["network"]["name"] == "conv"
        assert config.parts["likelihood"]["name"] == "gaussian"
    assert (
        made(*line, "--model.likelihood", "bernoulli").parts["likelihood"]["name"] == "bernoulli"
    )
    assert made(*line, "--model.likelihood", "bernoulli").shared["latent_shape"] == [8, 16, 16]
    monkeypatch.setattr(defaults, "FEW", 5)
    assert made(*line).shared["latent_dim"] == 16


@pytest.mark.parametrize(
    ("size", "patch", "code"), [(32, 1, 16), (50, 2, 13), (128, 4, 16), (256, 8, 16)]
)
def test_the_spatial_code_suits_the_size_of_the_images(tmp_path, size, patch, code):
    config = made("vae", "--data", photos(tmp_path / "photos"), "--image-size", size)
    assert config.shared["latent_shape"] == [8, code, code]
    assert config.parts["network"]["patch"] == patch


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_what_few_images_are_offered(tmp_path, name):
    folder = photos(tmp_path / "photos")
    for i in range(2):
        (folder / str(i)).mkdir()
        photos(folder / str(i) / "x")
    assert made(name, "--data", folder).parts["network"]["name"] == "resnet"


def test_a_person_is_told_of_the_spatial_code_and_a_resumed_run_keeps_it(vaezoo, tmp_path):
    folder = photos(tmp_path / "photos", size=32)
    line = ["train", "vae", "--data", folder, "--out", "run", "--batch-size", 4]
    result = vaezoo(*line, "--steps", 2)
    assert "few images: a spatial code of 8x16x16" in result.err
    assert "--model.latent-dim 16" in result.err
    assert vaezoo("train", "--resume", "--out", "run", "--steps", 4).code == 0
    assert config("run")["model"]["shared"]["latent_shape"] == [8, 16, 16]
    assert (
        "few images" not in vaezoo(*line, "--overwrite", "--steps", 2, "--model.latent-dim", 3).err
    )


def test_on_the_default_data_any_variant_is_offered_the_sizes_of_the_preset():
    for name in VARIANTS:
        if name != "cvae":  # sprites have no labels
            assert made(name).parts["network"]["patch"] == defaults.SIZES["network"]["patch"]
    assert "patch" not in made("vae", "--model.network", "mlp").parts["network"]
