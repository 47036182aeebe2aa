"""``vaezoo check``: what it says of each check, and the options that it takes."""

from __future__ import annotations

import os
import re

import pytest
from cli_helpers import install

from vaezoo.testing import CHECKS
from vaezoo.testing import run as kit

BROKEN = """
import vaezoo
from vaezoo.options import NoOptions

@vaezoo.hookimpl
def vaezoo_specs():
    for name in ("backwards", "absent", "chatty"):
        yield vaezoo.VariantSpec(name=f"broken/{name}", target=f"broken_vae:{name}", summary="B")

class Chatty(vaezoo.VAE):
    def forward(self, x, y=None, samples=1):
        print("shape", tuple(x.shape))
        return super().forward(x, y, samples)

def chatty(options: NoOptions, parts):
    return Chatty(parts.encoder(), parts.decoder(), parts.prior())

def absent(options: NoOptions, parts):
    return parts.nothing

def backwards(options: NoOptions, parts):
    class Backwards(vaezoo.ELBO):
        def regularizer(self, trace, weights):
            return -trace.kl
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=Backwards())
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A plugin with broken variants."""
    install(tmp_path, "broken-vae", "broken_vae", {"broken_vae": BROKEN})
    monkeypatch.syspath_prepend(str(tmp_path))
    kit.lookup.refresh()


def cpu_seconds():
    """What this process and its children have used of a processor, whoever else is at work."""
    return sum(os.times()[:4])


@pytest.mark.slow
def test_it_runs_every_check_in_under_20_seconds_of_one_core(vaezoo):
    before = cpu_seconds()
    result = vaezoo("check", "vae")
    assert result.code == 0, result.err
    assert cpu_seconds() - before < 20
    *lines, verdict = result.out.splitlines()
    assert lines == [f"ok    {name}" for name in CHECKS]
    assert verdict == f"vae: all {len(CHECKS)} checks passed"


def test_a_failure_says_what_was_expected_what_was_found_and_where_to_look(vaezoo, broken):
    result = vaezoo("check", "broken/backwards", "--only", "kl", "regularizer", "loss")
    assert result.code == 2
    assert result.out.splitlines()[:3] == ["ok    loss", "ok    kl", "FAIL  regularizer"]
    for part in ("expected  a regularizer that falls", "wrong sign of the KL?", "broken_vae.py"):
        assert part in result.out
    assert result.err == (
        "vaezoo: error: 'broken/backwards' fails 1 check, regularizer; 2 passed\n"
    )


def test_what_a_variant_prints_does_not_flood_the_report(vaezoo, broken):
    result = vaezoo("check", "broken/chatty", "--only", "trace", "samples")
    *lines, said, verdict = result.out.splitlines()
    assert lines == ["ok    trace", "ok    samples"]
    assert re.fullmatch(r" +\(the variant printed \d lines, the first: shape \(3, .*\)\)", said)
    assert verdict == "broken/chatty: all 2 checks passed"


def test_each_line_is_there_as_soon_as_its_check_is_done(vaezoo, monkeypatch, capsys):
    seen = []

    def watched(name, **options):
        for check in ("loss", "kl"):
            yield check, ()
            seen.append(capsys.readouterr().out)

    monkeypatch.setattr(kit, "results", watched)
    assert vaezoo("check", "vae").out == "vae: all 2 checks passed\n"
    assert seen == ["ok    loss\n", "ok    kl\n"]


def test_nothing_follows_a_model_that_cannot_be_made(vaezoo, broken):
    result = vaezoo("check", "broken/absent")
    first, second, *_ = result.out.splitlines()
    assert first == "FAIL  create"
    assert second.strip() == "(the others rest on it)"
    assert "has no attribute 'nothing'" in result.out
    assert "fails 1 check, create; 0 passed" in result.err


def test_it_takes_the_options_of_create_and_leaves_the_kit_its_own_sizes(vaezoo, monkeypatch):
    given = []

    def record(name, **options):
        given.append(options)
        return iter([("loss", ())])

    monkeypatch.setattr(kit, "results", record)
    vaezoo("check", "cvae")
    vaezoo("check", "cvae", "--model.beta", 2, "--model.no-learned-prior", "--only", "loss")
    vaezoo("check", "vae", "--model.network", "mlp", "--model.network.hidden", 9, 7)
    assert given[0] == {"only": None}
    assert given[1] == {"only": ("loss",), "beta": 2.0, "learned_prior": False}
    assert given[2]["network"]["hidden"] == (9, 7)
    assert set(given[2]) == {"only", "network"}


def test_a_required_option_can_be_given(vaezoo):
    result = vaezoo("check", "tiny/strict", "--only", "create")
    assert result.code == 2
    assert "weight" in result.out
    arguments = ("tiny/strict", "--model.weight", 2, "--only", "create", "loss")
    assert vaezoo("check", *arguments).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "check takes one variant, first: vaezoo check NAME"),
        (["vae", "ae"], "check takes one variant, first"),
        (["beta-vea"], "Did you mean 'beta-vae'?"),
        (["vae", "--only", "los"], "the kit has no check 'los'. Did you mean 'loss'?"),
        (["vae", "--model.nope", "1"], "vaezoo check has no option '--model.nope'"),
        (["vae", "--model.network.hidden", "3"], "name it with --model.network"),
        (["vae", "--model.network", "mpl"], "Did you mean 'mlp'?"),
    ],
)
def test_a_mistake_gets_one_line(vaezoo, arguments, message):
    assert message in vaezoo("check", *arguments).error


def test_the_help_shows_the_options_of_a_variant(vaezoo):
    assert "--only" in vaezoo("check", "--help").out
    assert "--model.beta" in vaezoo("check", "beta-vae", "--help").out
