"""Distributions each of which is broken in a way of its own, and sound ones to stand beside."""

from __future__ import annotations

from plugin_projects import Project

HEAD = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
"""
MODEL = '''
from dataclasses import dataclass
import vaezoo

@dataclass(frozen=True, kw_only=True)
class Options:
    scale: float = 2.0
    """What the KL is multiplied by."""

def recipe(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = vaezoo.ELBO(options.scale)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)

def no_vae(options: Options, parts: vaezoo.Parts):
    return "a model"

def no_options(options, parts):
    return recipe(Options(), parts)

def buggy(options: Options, parts):
    return parts.no_such_part()
'''


def variant(name: str, target: str, more: str = "") -> str:
    """A line of a hook."""
    spec = f'vaezoo.VariantSpec(name="{name}", target="{target}", summary="Of a test"{more})'
    return f"    yield {spec}\n"


def plugin(name: str, init: str, **given: object) -> Project:
    """A distribution ``vaezoo-NAME`` with the plugin NAME, whose module holds ``init``."""
    module = f"vaezoo_{name.replace('-', '_')}"
    code = {f"{module}/__init__.py": init, f"{module}/model.py": MODEL}
    settings = {"entry_points": {name: module}, "code": code, **given}
    return Project(name=f"vaezoo-{name}", **settings)  # type: ignore[arg-type]


def sound(name: str) -> str:
    """The init of a plugin with one variant that works."""
    return HEAD + variant(f"{name}/vae", f"vaezoo_{name.replace('-', '_')}.model:recipe")


SOUND = [
    plugin("sound", sound("sound"), dependencies=("vaezoo>=0.1",)),
    plugin("slow", "import time; time.sleep(0.7)\n" + sound("slow")),
    plugin(
        "loud",
        "import warnings\nprint('hello from the import')\nwarnings.warn('a warning')\n"
        + sound("loud").replace("    yield", "    print('hello from the hook')\n    yield"),
    ),
    plugin("setter", "import os\nos.environ['SET_BY_IT'] = '1'\n" + sound("setter")),
    plugin(
        "needy",
        HEAD
        + variant("needy/absent", "vaezoo_needy.model:recipe", ', requires=("no-such-dist>=1.3",)')
        + variant("needy/old", "vaezoo_needy.model:recipe", ', requires=("pluggy>=99",)')
        + variant("needy/met", "vaezoo_needy.model:recipe", ', requires=("pluggy>=1",)'),
    ),
    plugin(
        "targets",
        HEAD
        + variant("targets/no-module", "vaezoo_targets.absent:recipe")
        + variant("targets/no-attribute", "vaezoo_targets.model:absent")
        + variant("targets/no-vae", "vaezoo_targets.model:no_vae")
        + variant("targets/no-options", "vaezoo_targets.model:no_options")
        + variant("targets/buggy", "vaezoo_targets.model:buggy"),
    ),
    plugin(
        "half",
        sound("half"),
        entry_points={"half": "vaezoo_half", "half-broken": "vaezoo_half.absent"},
    ),
]
"""Plugins that load."""

BROKEN = [
    plugin("imports", "import no_such_module_anywhere"),
    plugin("declares", "import declared_module", dependencies=("declared-module>=2",)),
    plugin("syntax", "def f(:"),
    plugin("exits", "import sys; sys.exit(3)"),
    plugin("raises", sound("raises") + "    raise ValueError('half way')"),
    plugin("misspelt", sound("misspelt").replace("def vaezoo_specs", "def vaezoo_spec")),
    plugin("unmarked", sound("unmarked").replace("@vaezoo.hookimpl", "")),
    plugin("returns", HEAD + '    return vaezoo.VariantSpec(name="returns/vae", target="a:b")'),
    plugin("yields", HEAD + '    yield {"name": "yields/vae"}'),
    plugin(
        "function", sound("function"), entry_points={"function": "vaezoo_function:vaezoo_specs"}
    ),
    plugin("malformed", sound("malformed"), entry_points={"malformed": "not valid!!"}),
    plugin("clash", HEAD + variant("vae", "vaezoo_clash.model:recipe")),
    plugin("future", "raise RuntimeError('imported')", dependencies=("vaezoo>=9",)),
    plugin("past", "raise RuntimeError('imported')", dependencies=("vaezoo<0.1",)),
    plugin("newer", "import vaezoo\nvaezoo.NotThereYet"),
]
"""Plugins that are skipped."""

PAIRS = [
    plugin("first", HEAD + variant("shared/vae", "vaezoo_first.model:recipe")),
    plugin("second", HEAD + variant("shared/vae", "vaezoo_second.model:recipe")),
    plugin("twin-a", sound("twin-a"), entry_points={"twin": "vaezoo_twin_a"}),
    plugin("twin-b", "import not_for_b", entry_points={"twin": "vaezoo_twin_b"}),
]
"""Plugins that meet: over a variant's name, and over an entry point's."""
