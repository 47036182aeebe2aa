"""The kit finds what is wrong with options and with a plugin as a whole, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fails = Callable[..., Any]

SOUND = """
def recipe(options: Options, parts):
    return made(parts)
"""


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


def test_global_settings_changed_where_the_model_is_made(fails: Fails) -> None:
    source = """
        torch.distributions.Distribution.set_default_validate_args(False)

        def recipe(options: Options, parts):
            torch.set_float32_matmul_precision("high")
            return made(parts)
    """
    error = fails("globals", "torch's matmul precision from highest to high", source)
    assert "validation of torch.distributions from True to False" in str(error)
