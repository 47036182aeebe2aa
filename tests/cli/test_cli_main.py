"""The command as a whole: help, version, exit codes, errors, warnings, and what it imports."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import install, process

from vaezoo.cli.main import COMMANDS


def test_help_names_every_command(vaezoo):
    for line in (["--help"], ["-h"], []):
        result = vaezoo(*line)
        assert result.code == 0
        assert all(f"\n  {name}" in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(vaezoo, name):
    result = vaezoo(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: vaezoo {name}")
    assert not result.err


def test_help_of_a_command_is_its_help(vaezoo):
    assert vaezoo("help", "list").out == vaezoo("list", "--help").out
    assert vaezoo("help").out == vaezoo("help", "help").out == vaezoo().out
    assert "Did you mean 'train'?" in vaezoo("help", "trian").error


def test_version(vaezoo):
    from importlib.metadata import version

    assert vaezoo("--version").out == f"vaezoo {version('vaezoo')}\n"


MISTAKES = [
    ("lst", "Did you mean 'list'?"),
    ("--versoin", "Did you mean '--version'?"),
    ("train bta-vae", "Did you mean 'beta-vae'?"),
    ("describe bernouli", "Did you mean 'bernoulli'"),
    ("describe betavae", "Did you mean 'beta-vae'?"),
    ("check vea", "Did you mean 'vae'?"),
    ("list x*", "no variant matches 'x*'"),
    ("list a b", "'b'"),
    ("plugins --jsn", "Did you mean '--json'?"),
    ("describe", "name"),
    ("train --data=", "unknown dataset ''"),
    ("train vae --data tinny", "Did you mean 'tiny'?"),
    ("train vae --data=mnits", "Did you mean 'mnist'?"),
    ("train vae --epoch 3", "Did you mean '--epochs'?"),
    ("train vae --epochs abc", "--epochs takes an integer, not 'abc'"),
    ("train vae --epochs", "--epochs needs a value: an integer"),
    ("train vae --epochs 3 4", "unexpected argument '4'"),
    ("train vae --epochs 0", "epochs must be at least 1"),
    ("train vae --epochs 1 --steps 1", "not both"),
    ("train vae --resume --overwrite", "not both"),
    ("train vae --resume 3", "unexpected argument '3'"),
    ("train vae --betas 0.9", "--betas takes 2 values, each a number, not '0.9'"),
    ("train vae --optimizer adamm", "Did you mean 'adam'?"),
    ("train vae extra", "unknown variant 'extra'"),
    ("train vae --steps 3 extra", "unexpected argument 'extra'"),
    ("train --steps 3 --model.latent-dim 4 vae", "the variant comes first"),
    ("train beta-vae --model.bta 4", "Did you mean '--model.beta'?"),
    ("train beta-vae --beta 4", "Did you mean '--model.beta'?"),
    ("train vae --latent_dim 4", "Did you mean '--model.latent-dim'?"),
    ("train vae --model.network mpl", "Did you mean 'mlp'?"),
    ("train vae --model.likelihood gausian", "Did you mean 'gaussian'?"),
    ("train vae --model.prior vamp", "unknown prior 'vamp'"),
    ("train vae --model.network mlp --model.network.hiden 3", "'--model.network.hidden'?"),
    ("train vae --data tiny --model.network.chanels 3", "has no option"),
    ("train vae --data tiny --model.prior.x 3", "has no option '--model.prior.x'"),
    ("train vae --model.network mlp --model.network.hidden x", "each an integer, not 'x'"),
    ("train vae --data tiny --model.network.hidden 0", "hidden"),
    ("train beta-vae --data tiny --model.beta -1", "beta must not be negative"),
    (
        "train vae --model.likelihood gaussian --model.likelihood.sigma optimum",
        "Did you mean 'optimal'?",
    ),
    ("train cvae --data tiny-unlabelled", "cvae is conditioned on labels"),
    (
        "train vae --data tiny-unlabelled --model.prior class-normal",
        "the prior 'class-normal' is conditioned on labels",
    ),
    ("train vae --data tiny --device cudaa", "unknown device 'cudaa'. Did you mean 'cuda'?"),
    ("train vae --data tiny --batch-size 65", "65 cannot be made from 64"),
    ("train tiny/needy --data tiny", "pip install no-such-distribution"),
    ("train tiny/strict --data tiny", "needs the option 'weight'"),
    ("train --resume --out nowhere", "nowhere holds no run"),
    ("eval", "eval: say which model"),
    ("eval nowhere", "no saved model at nowhere: it does not exist"),
    ("eval .", "no saved model at .: it holds no model.safetensors"),
    ("eval . extra", "unexpected argument 'extra'"),
    ("eval . --metrics elbow", "Did you mean 'elbo'?"),
    ("eval . --metrics elbow", "bits-per-dim, elbo (elbo, reconstruction, kl), elbo-surgery"),
    ("eval . --metrics kl", "a figure of the metric 'elbo'. Available: accuracy"),
    ("eval . --metrics marginal-kl", "a figure of the metric 'elbo-surgery'"),
    ("eval . --metrics elbo knn elbo", "--metrics names elbo twice"),
    ("eval . --metrics knn --metrics.knn.kay 5", "no option 'kay'. Did you mean 'k'?"),
    ("eval . --metrics elbo --metrics.knn.k 5", "the metric 'knn', which is not asked for"),
    ("eval . --metrics knn --metrics.k 5", "as in --metrics.knn.k 5"),
    ("eval . --metrics knn --metrics.knn.k five", "--metrics.knn.k takes an integer, not 'five'"),
    ("eval . --metrics knn --metrics.kn.k 5", "unknown metric 'kn'. Did you mean 'knn'?"),
    ("eval . --data tinny", "Did you mean 'tiny'?"),
    ("eval . --binarization statik", "Did you mean 'static'?"),
    ("sample . --n 0", "--n must be at least 1"),
    ("sample . --n many", "--n takes an integer, not 'many'"),
    ("reconstruct . --n 0", "--n must be at least 1"),
    ("traverse . --dims a", "each an integer, not 'a'"),
    ("train vae --model.likelihood.sigma fixed", "name it with --model.likelihood gaussian"),
    (
        "train vae --data tiny --model.network.channels 3",
        "belongs to the network conv or resnet: name it",
    ),
    ("eval . --seed 99999999999999999999999", "--seed must lie in 0..2**63-1"),
    ("sample . --seed -1", "--seed must lie in 0..2**63-1, not -1"),
    ("eval . --metrics log-likelihood --samples 0", "--samples must be at least 1"),
    ("eval . --metrics elbo --samples 5", "--samples needs a metric that takes it"),
    ("sample . --out a.jpg", "'a.jpg' must end in .png"),
    ("reconstruct . --out a.jpg", "'a.jpg' must end in .png"),
    ("traverse . --out a.png.gif", "must end in .png"),
    ("sample . --n 1001 --out a.png", "--n must be at most 1,000"),
    ("reconstruct . --n 1001", "--n must be at most 1,000"),
    ("traverse . --steps 1001", "--steps must be at most 1,000"),
]


@pytest.mark.parametrize(("line", "hint"), MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(vaezoo, line, hint):
    assert hint in vaezoo(*line.split()).error
    assert not Path("runs").exists()


def test_missing_data_say_where_they_were_looked_for_and_how_to_get_them(
    vaezoo, monkeypatch, tmp_path
):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", unreachable)
    monkeypatch.setenv("VAEZOO_DATA", str(tmp_path / "empty"))
    error = vaezoo("train", "vae", "--data", "mnist").error
    assert str(tmp_path / "empty") in error
    assert "VAEZOO_DATA" in error
    assert "--data-root" in error


def test_debug_shows_the_traceback_and_keeps_the_exit_code(vaezoo):
    for line in (["--debug", "eval", "nowhere"], ["eval", "nowhere", "--debug"]):
        result = vaezoo(*line)
        assert result.code == 2
        assert "Traceback" in result.err
        assert result.err.splitlines()[-1].startswith("vaezoo: error: no saved model")


def test_an_output_that_cannot_be_written_is_a_mistake(vaezoo, trained, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in vaezoo("sample", trained["vae"], "--out", "file/picture.png").error
    run = vaezoo("train", "vae", "--data", "tiny", "--batch-size", 8, "--out", "file/run")
    assert "file/run cannot be written" in run.error


def test_a_bug_is_no_mistake(vaezoo, monkeypatch):
    def bug(pattern="*"):
        raise RuntimeError("a bug")

    monkeypatch.setattr("vaezoo.registry.lookup.list_variants", bug)
    assert vaezoo("list").code == 1


def test_exit_codes_reach_the_shell():
    assert process("list").returncode == 0
    wrong = process("trian")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("vaezoo: error: unknown command 'trian'. Did you mean 'train'?")
    assert not wrong.stdout


@pytest.mark.parametrize("line", [["list"], ["plugins"], ["--help"], ["--version"]])
def test_what_starts_at_once_imports_no_torch_numpy_or_tyro(line):
    code = (
        "import sys; from vaezoo.cli import main; main(sys.argv[1:]); "
        "sys.exit(sorted({'torch', 'numpy', 'tyro'} & {*sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True)
    assert not done.stderr
    assert done.returncode == 0
    assert done.stdout


def test_wrong_names_are_told_without_importing_torch():
    code = (
        "import sys; from vaezoo.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code if 'torch' not in sys.modules else 9)"
    )
    for line in (["train", "vea"], ["train", "vae", "--data", "x"], ["sample", "a", "--n", "x"]):
        done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True)
        assert done.returncode == 2, line


def test_a_reader_who_leaves_is_no_error():
    pipe = f"{sys.executable} -m vaezoo.cli plugins --json | true"
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_broken_plugin_is_told_in_one_plain_line(tmp_path):
    install(tmp_path, "broken-vaezoo", "broken_vaezoo", {"broken_vaezoo": "import not_there"})
    done = process("list", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
    assert "beta-vae" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("vaezoo: warning: the vaezoo plugin 'broken_vaezoo' of broken-vaezoo")
    shown = process("plugins", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert not shown.stderr
    assert "No module named 'not_there'" in shown.stdout
    assert "pip uninstall broken-vaezoo" in shown.stdout
    assert "VAEZOO_DISABLE_PLUGINS=broken_vaezoo" in shown.stdout


def test_a_full_folder_of_temporary_files_is_named(vaezoo, monkeypatch, tmp_path):
    def full(argv):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vaezoo.cli.runs.runs", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = vaezoo("runs")
    assert result.code == 2
    assert f"no room for temporary files, which lie in {tmp_path} (set TMPDIR" in result.err
