"""The kit runs as its documentation says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import vaezoo
from vaezoo.errors import OptionError
from vaezoo.testing import CHECKS, ConformanceError, Subject, check_variant, checks_files

Plant = Callable[..., str]

SOUND = """
def recipe(options: Options, parts):
    return made(parts)
"""

NEEDY = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.VariantSpec(
        name="planted/needy", target="nowhere:recipe", requires=("no-such-package",)
    )
"""


def test_all_failures_are_listed_and_exceptions_are_reported(plant: Plant) -> None:
    name = plant(
        """
        class Backwards(ELBO):
            def regularizer(self, trace, weights):
                return -weights["beta"] * trace.kl

        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                x.mul_(0.5)
                return super().forward(x, y, samples)

        def recipe(options: Options, parts):
            return made(parts, Model, objective=Backwards())
        """
    )
    only = ["options", "arguments", "regularizer"]
    with pytest.raises(ConformanceError, match="'planted/vae' fails 2 checks") as caught:
        check_variant(name, only=only)
    assert [failure.check for failure in caught.value.failures] == ["arguments", "regularizer"]

    reasons = {"arguments": "it halves x", "regularizer": "a study", "options": "none needed"}
    report = check_variant(name, only=only, expected_exceptions=reasons)
    assert report.passed == ["options"]
    assert report.excepted == {"arguments": "it halves x", "regularizer": "a study"}


def test_a_load_that_is_not_strict_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load = checks_files.load

    def lenient(path: Path) -> vaezoo.VAE:
        try:
            return load(path)
        except vaezoo.CheckpointError:
            return vaezoo.create("vae")

    monkeypatch.setattr(checks_files, "load", lenient)
    with pytest.raises(ConformanceError, match="has one tensor too many"):
        check_variant("vae", only=["saving"])


def test_a_variant_that_cannot_be_created_fails_once(plant: Plant) -> None:
    name = plant(
        """
        def recipe(options: Options, parts):
            return made(parts).encoders
        """
    )
    with pytest.raises(ConformanceError, match="has no attribute 'encoders'") as caught:
        check_variant(name)
    (failure,) = caught.value.failures
    assert "return made(parts).encoders" in failure.look


def test_a_variant_that_needs_a_package_says_so(install_plugin: Callable[..., Any]) -> None:
    install_plugin(distribution="needy", entry_point="needy", code={"needy.py": NEEDY})
    with pytest.raises(vaezoo.MissingRequirementError, match="pip install no-such-package"):
        check_variant("planted/needy")


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="Did you mean 'gradients'"):
        check_variant("vae", only=["gradient"])
    with pytest.raises(OptionError, match="Did you mean 'compile'"):
        check_variant("vae", expected_exceptions={"compiles": "never"})
    with pytest.raises(vaezoo.UnknownVariantError, match="Did you mean 'beta-vae'"):
        check_variant("beta-vea")


def test_a_module_as_a_part_is_refused() -> None:
    encoder = vaezoo.create("vae", input_shape=(2, 12, 20), latent_dim=5).encoder
    with pytest.raises(OptionError, match="parts by name, not with modules"):
        _ = Subject("vae", encoder=encoder).options


def test_the_kit_leaves_the_process_as_it_was(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    threads = torch.get_num_threads()
    name = plant(
        """
        def recipe(options: Options, parts):
            torch.set_default_dtype(torch.float64)
            return made(parts)
        """
    )
    with pytest.raises(ConformanceError):
        check_variant(name, only=["globals", "seeds", "devices", "methods", "saving"])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == dtype
    assert torch.get_num_threads() == threads
    assert capsys.readouterr() == ("", "")


def test_each_check_states_its_rule() -> None:
    for check in CHECKS.values():
        assert check.rule.endswith("."), check.name
        assert len(check.rule) > 30, check.name


def test_parametrisation_gives_each_check_its_own_test(plant: Plant) -> None:
    name = plant(SOUND)
    mark: Any = vaezoo.testing.parametrize_checks(
        "planted/*", expected_exceptions={name: {"overfits": "too slow to learn"}}
    )
    names, parameters = mark.args
    assert names == "check"
    assert [p.id for p in parameters] == [f"{name}-{check}" for check in CHECKS]
    marked = [p.id for p in parameters if p.marks]
    assert marked == [f"{name}-overfits"]
    parameters[0].values[0]()


def test_a_variant_that_lacks_a_package_is_skipped(install_plugin: Callable[..., Any]) -> None:
    install_plugin(distribution="needy", entry_point="needy", code={"needy.py": NEEDY})
    mark: Any = vaezoo.testing.parametrize_checks("planted/*")
    reasons = {m.kwargs["reason"] for p in mark.args[1] for m in p.marks}
    assert reasons == {"needs no-such-package"}
