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


def test_checks_that_rest_on_one_that_failed_are_not_run(plant: Plant) -> None:
    name = plant(
        """
        class Swapped(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                site = trace.sites[0]
                return Trace(x, trace.px, (Site(site.q, site.p, site.z.transpose(0, 1)),))

        def recipe(options: Options, parts):
            return made(parts, Swapped)
        """
    )
    with pytest.raises(ConformanceError, match="the axes K and B are swapped") as caught:
        check_variant(name)
    assert [failure.check for failure in caught.value.failures] == ["trace"]

    mark: Any = vaezoo.testing.parametrize_checks("planted/*")
    tests = {p.id.removeprefix(f"{name}-"): p.values[0] for p in mark.args[1]}
    with pytest.raises(ConformanceError):
        tests["trace"]()
    with pytest.raises(pytest.skip.Exception, match="rests on the check 'trace'"):
        tests["loss"]()


def test_one_exception_in_several_checks_is_told_once(plant: Plant) -> None:
    name = plant(
        """
        class Mute(VAE):
            def generate(self, n, y=None):
                raise RuntimeError("no samples today")

        def recipe(options: Options, parts):
            return made(parts, Mute)
        """
    )
    with pytest.raises(ConformanceError, match="'planted/vae' fails 4 checks") as caught:
        check_variant(name, only=["draws", "methods", "samples", "saving", "embedding"])
    assert str(caught.value).count("no samples today") == 2  # what is found, and the line
    assert "also in   methods, samples, saving" in str(caught.value)


def test_a_schedule_that_makes_no_tensor_is_told(plant: Plant) -> None:
    name = plant(
        """
        def recipe(options: Options, parts):
            return made(parts, objective=ELBO(lambda step: 0.5))
        """
    )
    said = "the schedule of 'beta' must return a 0-d tensor made from the step"
    with pytest.raises(ConformanceError, match=said):
        check_variant(name, only=["gradients"])
    model = vaezoo.create(name, input_shape=(4,), latent_dim=2)
    with pytest.raises(TypeError, match=said):
        vaezoo.fit(model, torch.rand(40, 4), steps=1, progress=False)


PART = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.PriorSpec(name="planted/prior", target="planted_prior.prior:recipe", summary="P")
"""

CHECKING = """
import torch
from torch.distributions import Independent, Laplace

import vaezoo
from vaezoo.options import NoOptions

class Prior(vaezoo.Prior):
    def __init__(self, event_shape):
        super().__init__()
        self.event_shape = event_shape
        self.register_buffer("scale", torch.ones(event_shape))

    def forward(self, y=None):
        return Independent(Laplace(torch.zeros_like(self.scale), self.scale), 1)

def recipe(options: NoOptions, parts):
    return Prior(parts.latent_shape)
"""


def test_a_fault_of_a_part_names_the_part(install_plugin: Callable[..., Any]) -> None:
    code = {"planted_prior/__init__.py": PART, "planted_prior/prior.py": CHECKING}
    install_plugin(distribution="vaezoo-part", entry_point="part", code=code)
    with pytest.raises(ConformanceError) as caught:
        check_variant("vae", only=["devices"], prior="planted/prior")
    (failure,) = caught.value.failures
    assert "a distribution that checks its arguments: pass validate_args=False" in failure.look
    assert "return Independent(Laplace(" in failure.look
    assert "recipe planted_prior.prior:recipe in" in failure.look


def test_the_plugin_of_a_part_is_imported_by_the_check_import(
    install_plugin: Callable[..., Any],
) -> None:
    code = {
        "planted_prior/__init__.py": "import torch\n" + PART,
        "planted_prior/prior.py": CHECKING,
    }
    install_plugin(distribution="vaezoo-part", entry_point="part", code=code)
    with pytest.raises(ConformanceError, match="planted_prior imports torch"):
        check_variant("vae", only=["import"], prior="planted/prior")
