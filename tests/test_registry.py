"""Plugins: found lazily, each in isolation."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

import vaezoo
from vaezoo import registry
from vaezoo.registry import requirements
from vaezoo.registry.specs import Spec, VariantSpec

Install = Callable[..., Path]

HOOK = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.VariantSpec(name="mine/tiny-vae", target="mine.model:tiny", summary="Tiny")
"""
MODEL = '''
from dataclasses import dataclass
import vaezoo

@dataclass(frozen=True, kw_only=True)
class Options:
    scale: float = 2.0
    """A scale."""

def tiny(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = vaezoo.ELBO(options.scale)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
'''


def record(name: str) -> registry.lookup.Plugin:
    return next(plugin for plugin in registry.plugins() if plugin.name == name)


def test_a_third_partys_variant_is_like_any_other(install_plugin: Install) -> None:
    install_plugin(
        distribution="vaezoo-mine",
        version="1.2",
        entry_point="mine",
        code={"mine/__init__.py": HOOK, "mine/model.py": MODEL},
    )
    assert "mine/tiny-vae" in vaezoo.list_variants()
    assert vaezoo.list_variants("mine/*") == ["mine/tiny-vae"]
    description = vaezoo.describe("mine/tiny-vae")
    assert (description.distribution, description.version) == ("vaezoo-mine", "1.2")
    model = vaezoo.create("mine/tiny-vae", scale=3, network="mlp", latent_dim=4)
    assert model.config.plugin == {"distribution": "vaezoo-mine", "version": "1.2"}
    with pytest.raises(vaezoo.OptionError, match="Did you mean 'scale'"):
        vaezoo.create("mine/tiny-vae", scal=3)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("raise RuntimeError('boom')", "boom"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        (HOOK.replace("    yield", "    raise SystemExit\n    yield"), "SystemExit"),
        ("x = 1", "no function vaezoo_specs"),
        (HOOK.replace("def vaezoo_specs", "def vaezoo_spec"), "unknown hook"),
        (HOOK.replace("    yield", "    raise ValueError('oh')\n    yield"), "ValueError: oh"),
        (HOOK.replace("yield vaezoo.VariantSpec(", "yield dict("), "none of VariantSpec"),
        (HOOK.replace("mine/tiny-vae", "Tiny VAE"), "kebab-case"),
        (HOOK.replace("mine.model:tiny", "no target"), "target"),
        (HOOK.replace("mine/tiny-vae", "vae"), "already belongs to the plugin 'first-party'"),
        (HOOK + HOOK.splitlines()[-1], "twice"),
        (HOOK.replace("vaezoo_specs()", "vaezoo_specs(zoo)"), "takes no arguments: def vaezoo_sp"),
    ],
)
def test_a_broken_plugin_is_skipped_and_reported_and_the_rest_works(
    install_plugin: Install, code: str, reason: str
) -> None:
    install_plugin(
        distribution="vaezoo-bad", version="0.3", entry_point="bad", code={"bad.py": code}
    )
    with pytest.warns(vaezoo.PluginWarning) as caught:
        assert {"vae", "beta-vae", "cvae"} <= set(vaezoo.list_variants())
    (warning,) = caught
    assert "vaezoo-bad 0.3" in str(warning.message)
    assert "VAEZOO_DISABLE_PLUGINS=bad" in str(warning.message)
    plugin = record("bad")
    assert plugin.status == "broken"
    assert reason in plugin.error
    assert not plugin.specs
    assert vaezoo.create("vae").config.plugin["distribution"] == "vaezoo"


def test_a_target_that_does_not_exist_is_reported_when_it_is_used(
    install_plugin: Install,
) -> None:
    install_plugin(distribution="vaezoo-mine", entry_point="mine", code={"mine/__init__.py": HOOK})
    assert "mine/tiny-vae" in vaezoo.list_variants()
    with pytest.raises(vaezoo.VaezooError, match=r"mine\.model:tiny"):
        vaezoo.create("mine/tiny-vae")


def test_a_target_that_is_no_vae_is_reported_when_it_is_used(install_plugin: Install) -> None:
    wrong = MODEL.replace("return vaezoo.VAE(", "return print and dict(z=(").rstrip() + ")\n"
    wrong = MODEL.split("    objective")[0] + "    return 'a model'\n"
    install_plugin(
        distribution="vaezoo-mine",
        entry_point="mine",
        code={"mine/__init__.py": HOOK, "mine/model.py": wrong},
    )
    with pytest.raises(vaezoo.VaezooError, match=r"returned str, not a vaezoo\.VAE"):
        vaezoo.create("mine/tiny-vae")


def test_a_missing_extra_is_named_with_how_to_get_it(install_plugin: Install) -> None:
    hook = HOOK.replace('summary="Tiny"', 'summary="Tiny", requires=("no-such-dist",)')
    install_plugin(
        distribution="vaezoo-mine",
        entry_point="mine",
        code={"mine/__init__.py": hook, "mine/model.py": MODEL},
    )
    assert "mine/tiny-vae" in vaezoo.list_variants()
    with pytest.raises(vaezoo.MissingRequirementError, match="pip install no-such-dist"):
        vaezoo.create("mine/tiny-vae")


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("pluggy", ""),
        ("Pluggy>=1", ""),
        ("pluggy[dev]>=1", None),  # its own test tools, which may be there or not
        ("no-such-dist; python_version < '3'", ""),
        ("no-such-dist", "no-such-dist is not installed"),
        ("no-such-dist>=2", "no-such-dist is not installed"),
        ("pluggy>=99", f"pluggy {version('pluggy')} is installed"),
    ],
)
def test_requirements_are_read_as_pip_reads_them(requirement: str, why: str | None) -> None:
    assert why in (requirements.unmet(requirement), None)


def test_an_extra_is_met_where_what_it_asks_for_is(install_plugin: Install) -> None:
    install_plugin(
        distribution="extras",
        entry_point="extras",
        code={"extras.py": ""},
        requires=(
            'no-such-dist>=2; extra == "absent"',
            'pluggy>=1; extra == "present"',
            'nor-this; extra == "other"',
        ),
    )
    assert requirements.unmet("extras[present]>=1") == ""
    assert requirements.unmet("extras[present,absent]") == "no-such-dist is not installed"


@pytest.mark.parametrize("requires", ["zuko", ("zuko >> 1",), ("",)])
def test_requirements_that_pip_would_not_read_are_refused(requires: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (packaging's own words)
        VariantSpec(name="it", target=print, requires=requires)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "use", "wanted"),
    [
        ("NetworkSpec", {"network": "mine/wrong"}, "torch.nn.Module"),
        ("PriorSpec", {"prior": "mine/wrong"}, "vaezoo.Prior"),
        ("LikelihoodSpec", {"likelihood": "mine/wrong"}, "vaezoo.heads.Head"),
    ],
)
def test_a_part_that_is_none_is_told_with_its_distribution(
    install_plugin: Install, kind: str, use: dict[str, str], wanted: str
) -> None:
    model = MODEL.split("def tiny")[0] + "def wrong(options: Options, *a, **k): return 'it'\n"
    hook = (
        HOOK.replace("VariantSpec", kind).replace("tiny-vae", "wrong").replace(":tiny", ":wrong")
    )
    code = {"mine/__init__.py": hook, "mine/model.py": model}
    install_plugin(distribution="vaezoo-mine", version="1.2", entry_point="mine", code=code)
    message = rf"from vaezoo-mine 1\.2\) returned str, not a {wanted}"
    with pytest.raises(vaezoo.VaezooError, match=message):
        vaezoo.create("vae", **use)


def test_data_that_are_none_are_told_with_their_distribution(install_plugin: Install) -> None:
    model = MODEL.split("def tiny")[0] + "def wrong(options: Options, root): return [1]\n"
    hook = HOOK.replace("VariantSpec", "DatasetSpec").replace(":tiny", ":wrong")
    code = {"mine/__init__.py": hook, "mine/model.py": model}
    install_plugin(distribution="vaezoo-mine", entry_point="mine", code=code)
    with pytest.raises(vaezoo.VaezooError, match=r"returned list, not a vaezoo\.data\.Data"):
        vaezoo.evaluate(vaezoo.create("vae"), "mine/tiny-vae")


def test_a_broken_part_does_not_hide_a_sound_one_that_is_chosen_by_its_options(
    install_plugin: Install,
) -> None:
    for name, model in (("a", "raise RuntimeError"), ("b", MODEL)):
        hook = HOOK.replace("VariantSpec", "PriorSpec").replace("mine", name)
        code = {f"{name}/__init__.py": hook, f"{name}/model.py": model}
        install_plugin(distribution=f"vaezoo-{name}", entry_point=name, code=code)
    import b.model

    chosen = vaezoo.choosing.choose(vaezoo.PriorSpec, b.model.Options(scale=3.0))
    assert chosen.to_json() == {"name": "b/tiny-vae", "scale": 3.0}


def test_between_two_third_parties_the_first_in_order_keeps_a_name(
    install_plugin: Install,
) -> None:
    for distribution, module in (("vaezoo-b", "b"), ("vaezoo-a", "a")):
        hook = HOOK.replace("mine.model", f"{module}.model")
        install_plugin(
            distribution=distribution,
            entry_point=module,
            code={f"{module}/__init__.py": hook, f"{module}/model.py": MODEL},
        )
    with pytest.warns(vaezoo.PluginWarning, match="vaezoo-a"):
        assert vaezoo.describe("mine/tiny-vae").distribution == "vaezoo-a"
    assert record("b").status == "broken"


@pytest.mark.parametrize("value", ["mine", "other, mine", "all"])
def test_plugins_can_be_disabled(
    install_plugin: Install, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VAEZOO_DISABLE_PLUGINS", value)
    install_plugin(distribution="vaezoo-mine", entry_point="mine", code={"mine/__init__.py": HOOK})
    assert "mine/tiny-vae" not in vaezoo.list_variants()
    assert ("vae" in vaezoo.list_variants()) == (value != "all")
    assert record("mine").status == "disabled"


def test_discovery_is_lazy_and_happens_once(install_plugin: Install) -> None:
    folder = install_plugin(
        distribution="vaezoo-slow",
        entry_point="slow",
        code={"slow.py": "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"},
    )
    assert not (folder / "slow.ran").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vaezoo.list_variants()
        assert (folder / "slow.ran").exists()
        (folder / "slow.ran").unlink()
        vaezoo.list_variants()
    assert not (folder / "slow.ran").exists()


@pytest.mark.parametrize(
    "statement",
    ["import vaezoo", "import vaezoo; vaezoo.list_variants()", "import vaezoo_plugins"],
)
def test_neither_importing_nor_listing_imports_anything_heavy(statement: str) -> None:
    script = (
        f"{statement}\nimport sys\n"
        "heavy = {'torch', 'numpy', 'tyro', 'torchvision', 'PIL', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_prints_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import vaezoo; vaezoo.create"], capture_output=True, check=True
    )
    assert result.stdout == b""
    assert result.stderr == b""


def test_every_public_name_is_there_and_listed() -> None:
    for name in vaezoo.__all__:
        assert getattr(vaezoo, name) is not None
    assert set(vaezoo.__all__) == {*vaezoo._HOME, *vaezoo._SUBMODULES, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = vaezoo.nonsense


@pytest.mark.parametrize("name", ["vae", "beta-vae", "vendor/name", "a1/b2-c3"])
def test_good_names(name: str) -> None:
    assert VariantSpec(name=name, target=print).name == name


@pytest.mark.parametrize("name", ["", "VAE", "beta_vae", "a/b/c", "-vae", "vae-", "a//b", 3])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="kebab-case"):
        Spec(name=name, target=print)


@pytest.mark.parametrize("target", ["module", "module:", ":name", "a:b:c", "../x:y", 3, None])
def test_bad_targets(target: object) -> None:
    with pytest.raises(ValueError, match="target"):
        Spec(name="it", target=target)  # type: ignore[arg-type]


def test_a_part_asked_for_as_a_variant_is_told_to_be_one() -> None:
    with pytest.raises(vaezoo.UnknownVariantError, match=r"a prior: .* vae --model.prior mixture"):
        registry.lookup.find(VariantSpec, "mixture")


def test_an_option_with_the_name_of_a_shared_one_is_told(install_plugin: Install) -> None:
    from vaezoo.cli.model_flags import model_class

    model = MODEL.replace("scale: float = 2.0", "latent_dim: int = 2").replace(
        "options.scale", "1"
    )
    install_plugin(
        distribution="vaezoo-mine",
        entry_point="mine",
        code={"mine/__init__.py": HOOK, "mine/model.py": model},
    )
    with pytest.raises(vaezoo.OptionError, match="tiny-vae: its option 'latent_dim' has the name"):
        model_class("mine/tiny-vae", {}, {})


def test_the_author_of_a_broken_plugin_is_told_where_to_mend_it(install_plugin: Install) -> None:
    folder = install_plugin(
        distribution="vaezoo-bad", entry_point="bad", code={"bad.py": "def f(:"}
    )
    url = {"url": Path("/code/my plugin").as_uri(), "dir_info": {"editable": True}}
    (folder / "vaezoo_bad-1.0.dist-info" / "direct_url.json").write_text(json.dumps(url))
    with pytest.warns(vaezoo.PluginWarning, match="mend it in /code/my plugin"):
        vaezoo.list_variants()
