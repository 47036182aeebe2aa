"""``vaezoo list``, ``describe`` and ``plugins``."""

from __future__ import annotations

import json

import pytest
from cli_helpers import install

from vaezoo import zoo
from vaezoo.registry import list_variants, lookup


def test_list_shows_every_variant_with_its_summary(vaezoo):
    lines = vaezoo("list").out.splitlines()
    assert [line.split()[0] for line in lines] == list_variants()
    assert any(line.endswith("Weighs the KL by beta, for disentangled latents") for line in lines)


def test_list_takes_a_pattern(vaezoo):
    assert [line.split()[0] for line in vaezoo("list", "tiny/*").out.splitlines()] == [
        "tiny/needy",
        "tiny/strict",
    ]


def test_list_marks_what_needs_another_package(vaezoo):
    marked = [line for line in vaezoo("list").out.splitlines() if "not installed" in line]
    assert len(marked) == 1
    assert marked[0].startswith("tiny/needy")
    assert marked[0].endswith("(not installed: pip install no-such-distribution)")


def test_describe_tells_all_of_a_variant(vaezoo):
    text = vaezoo("describe", "beta-vae").out
    for part in ("Higgins et al. 2017", "first-party, of vaezoo", "beta ", "float", "4.0"):
        assert part in text
    for shared in ("input_shape", "latent_dim", "network", "How many numbers one z holds."):
        assert shared in text
    assert "input_shape and num_classes are no flags: they come from the data." in text
    assert "required" in vaezoo("describe", "tiny/strict").out


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mlp", "hidden"),
        ("gaussian", "'optimal'"),
        ("sprites", "5000"),
        ("bernoulli", "likelihood"),
    ],
)
def test_describe_tells_of_components_too(vaezoo, name, part):
    text = vaezoo("describe", name).out
    assert part in text
    assert "every variant" not in text


def test_tables_in_a_pipe_cut_no_name_off(vaezoo):
    text = vaezoo("plugins").out
    assert "tiny_vaezoo" in text
    assert "tiny-vaezoo" in text
    assert "…" not in text + vaezoo("describe", "vae").out


def test_plugins_tells_where_what_comes_from(vaezoo):
    found = {plugin["name"]: plugin for plugin in json.loads(vaezoo("plugins", "--json").out)}
    assert 0 <= found["tiny_vaezoo"].pop("seconds") < 60
    assert found["tiny_vaezoo"] == {
        "name": "tiny_vaezoo",
        "distribution": "tiny-vaezoo",
        "version": "1.5",
        "status": "ok",
        "error": "",
        "what_to_do": "",
        "brings": {
            "dataset": ["tiny", "tiny-unlabelled", "tiny-rows", "tiny-wide"],
            "variant": ["tiny/needy", "tiny/strict"],
            "metric": ["tiny/brightness"],
        },
    }
    assert "vae" in found["first-party"]["brings"]["variant"]


def test_long_names_leave_room_for_the_rest_of_the_table(vaezoo, tmp_path, monkeypatch):
    distribution, module = "vaezoo-" + "long-" * 10 + "name", "vaezoo_" + "long_" * 8 + "module"
    install(tmp_path, distribution, module, {module: "raise ValueError('no')"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("vaezoo.cli.tables.PIPED_WIDTH", 80)
    lookup.refresh()
    lines = vaezoo("plugins").out.splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith(f"{module}, of"))
    assert f"{module}, of {distribution} 1.5: broken" in lines
    table = lines[: lines.index("")]
    assert any(line.endswith("variant: vae, beta-vae,") for line in table)  # nothing is cut off
    assert "zero-inflated-negative-binomial" in "".join(" ".join(table).split())
    assert sum("long" in line for line in table) > 1  # but folded


def test_plugins_tells_what_is_disabled(vaezoo, monkeypatch):
    monkeypatch.setenv("VAEZOO_DISABLE_PLUGINS", "tiny_vaezoo")
    text = vaezoo("plugins").out
    assert "disabled" in text
    assert "take it out of $VAEZOO_DISABLE_PLUGINS to use it" in text


TWO_KINDS = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    for spec in (vaezoo.PriorSpec, vaezoo.NetworkSpec):
        yield spec(name="mine/flow", target=f"two_kinds:{spec.kind}", summary=f"A {spec.kind}")

def prior(options: vaezoo.options.NoOptions, parts): ...

def network(options: vaezoo.options.NoOptions, *, input_shape, output_shape): ...
"""


def test_describe_tells_of_all_kinds_with_one_name(vaezoo, tmp_path, monkeypatch):
    install(tmp_path, "two-kinds", "two_kinds", {"two_kinds": TWO_KINDS})
    monkeypatch.syspath_prepend(str(tmp_path))
    lookup.refresh()
    text = vaezoo("describe", "mine/flow").out
    assert "mine/flow: A network" in text
    assert "mine/flow: A prior" in text
    assert zoo.describe("mine/flow").kind == "network"
    assert zoo.describe("mine/flow", "prior").kind == "prior"


def test_a_misspelt_entry_point_group_is_found(vaezoo, tmp_path, monkeypatch):
    install(tmp_path, "two-kinds", "two_kinds", {"two_kinds": TWO_KINDS})
    (points,) = tmp_path.glob("*.dist-info/entry_points.txt")
    points.write_text(points.read_text().replace("[vaezoo]", "[vaezo]"))
    monkeypatch.syspath_prepend(str(tmp_path))
    lookup.refresh()
    said = "two-kinds: the entry-point group 'vaezo' is read by nobody; is 'vaezoo' meant?"
    assert said in vaezoo("plugins").out
