"""The kit finds what is wrong with options and with a plugin as a whole, and says what."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

Fails = Callable[..., Any]

SOUND = """
def recipe(options: Options, parts):
    return made(parts)
"""


def elsewhere(code: str) -> str:
    """Code that runs in the kit's processes and not in this one, which it would change."""
    inner = textwrap.indent(textwrap.dedent(code).strip(), "    ")
    return f"import sys\nif 'pytest' not in sys.modules:\n{inner}\n"


def test_options_without_docstrings(fails: Fails) -> None:
    source = """
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            scale: float = 1.0
            \"\"\"What it does.\"\"\"
            shift: float = 0.0

        def recipe(options: Settings, parts):
            return made(parts)
    """
    fails("options", "none under shift", source)


def test_options_that_are_not_frozen(fails: Fails) -> None:
    source = """
        @dataclass(kw_only=True)
        class Settings:
            scale: float = 1.0
            \"\"\"What it does.\"\"\"

        def recipe(options: Settings, parts):
            return made(parts)
    """
    fails("options", "it is not frozen", source)


def test_an_option_that_hides_a_shared_one(fails: Fails) -> None:
    source = """
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            prior: str = "normal"
            \"\"\"What it does.\"\"\"

        def recipe(options: Settings, parts):
            return made(parts)
    """
    fails("options", "shared options come through parts", source)


def test_a_default_that_is_no_json(fails: Fails) -> None:
    source = """
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            capacity: float = float("inf")
            \"\"\"What it does.\"\"\"

        def recipe(options: Settings, parts):
            return made(parts)
    """
    fails("config", "defaults that JSON can hold", source)


def test_a_plugin_that_imports_torch(fails: Fails) -> None:
    fails("import", "planted_vae imports torch", SOUND, init="import torch")


def test_a_plugin_that_prints(fails: Fails) -> None:
    fails("import", "print() in planted_vae", SOUND, init="print('hello')")


@pytest.mark.parametrize(
    ("init", "changed"),
    [
        ("import os; os.environ['PLANTED'] = '1'", "os.environ['PLANTED']"),
        ("import os; os.chdir('/')", "the working directory"),
        ("import sys; sys.path.insert(0, '/planted')", "sys.path"),
        ("import warnings; warnings.filterwarnings('ignore')", "the warnings filters"),
        ("import warnings; warnings.showwarning = print", "warnings.showwarning"),
        ("import random; random.seed(0)", "the state of random"),
        ("import locale; locale.setlocale(locale.LC_ALL, 'C')", "the locale"),
        ("import logging; logging.basicConfig()", "the handlers of logging's root"),
        ("import logging; logging.disable()", "the level of logging's root"),
        (
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
            "the handler of SIGTERM",
        ),
        ("import sys; sys.excepthook = print", "sys.excepthook"),
        ("import sys; sys.stderr = sys.__stdout__", "sys.stdout or sys.stderr"),
        ("import sys; sys.setrecursionlimit(5000)", "the recursion limit"),
        ("import builtins; builtins.planted = 1", "builtins.planted"),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(5,), daemon=True)"
            ".start()",
            "the running threads",
        ),
    ],
)
def test_a_plugin_that_changes_the_process_as_it_is_imported(
    fails: Fails, init: str, changed: str
) -> None:
    error = fails("import", f"changed: {changed}", SOUND, init=elsewhere(init))
    assert "planted_vae" in error.failures[0].look


def test_variables_that_the_kits_own_process_has_got_from_the_plugin_are_found_too(
    fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "so that it is put back")
    monkeypatch.delenv("PLANTED")
    init = "import os; os.environ.setdefault('PLANTED', '1')"
    fails("import", "changed: os.environ['PLANTED']", SOUND, init=init)


def test_a_plugin_whose_hook_changes_the_process(fails: Fails) -> None:
    init = """
        import random, sys
        inner = [vaezoo_specs]  # under no name of the module's

        @vaezoo.hookimpl
        def vaezoo_specs():
            if "pytest" not in sys.modules:
                random.seed(0)
            return inner[0]()
    """
    fails("import", "changed: the state of random", SOUND, init=init)


def test_a_plugin_that_warns_as_it_is_imported(fails: Fails) -> None:
    init = "import sys; sys.stderr.write('old!')"
    fails("import", "print() in planted_vae", SOUND, init=init)


def test_the_process_changed_where_the_recipe_is_imported(fails: Fails) -> None:
    planted = """
        import os
        import numpy as np
        os.environ["PLANTED"] = "1"
        np.random.seed(0)
        np.seterr(all="raise")
        torch.manual_seed(0)
    """
    error = fails("globals", "os.environ['PLANTED']", elsewhere(planted) + SOUND)
    for part in ("numpy's error handling", "numpy.random", "torch's generator"):
        assert part in str(error)


def test_global_settings_changed_where_the_model_is_made(fails: Fails) -> None:
    source = """
        torch.distributions.Distribution.set_default_validate_args(False)

        def recipe(options: Options, parts):
            torch.set_float32_matmul_precision("high")
            return made(parts)
    """
    error = fails("globals", "torch's matmul precision from highest to high", source)
    assert "validation of torch.distributions from True to False" in str(error)
