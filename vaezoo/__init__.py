"""vaezoo: a plugin-style zoo of variational autoencoders for PyTorch.

Importing this package imports neither torch nor numpy: names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaezoo import data, heads, networks, objectives, pictures, priors, schedules, testing
    from vaezoo.assembly import Parts
    from vaezoo.batch import Batch
    from vaezoo.errors import (
        CheckpointError,
        DataError,
        DataWarning,
        LatentsError,
        MissingRequirementError,
        NoBoundError,
        OptionError,
        PluginWarning,
        RunError,
        TrainingError,
        TrainingWarning,
        UnknownComponentError,
        UnknownVariantError,
        VaezooError,
    )
    from vaezoo.evaluation import evaluate
    from vaezoo.model import VAE
    from vaezoo.networks.own import wrap
    from vaezoo.objectives import ELBO, Objective, Phase, Terms
    from vaezoo.parts import (
        Borrowed,
        Decoder,
        Encoder,
        Folded,
        NetworkDecoder,
        NetworkEncoder,
        Prior,
    )
    from vaezoo.registry import (
        DatasetSpec,
        LikelihoodSpec,
        MetricSpec,
        NetworkSpec,
        PriorSpec,
        VariantSpec,
        hookimpl,
        list_variants,
    )
    from vaezoo.trace import Site, Trace, draw, register_kl
    from vaezoo.training import History, Trainer, TrainingConfig, fit
    from vaezoo.weights import load, save
    from vaezoo.zoo import create, describe

__all__ = [
    "ELBO",
    "VAE",
    "Batch",
    "Borrowed",
    "CheckpointError",
    "DataError",
    "DataWarning",
    "DatasetSpec",
    "Decoder",
    "Encoder",
    "Folded",
    "History",
    "LatentsError",
    "LikelihoodSpec",
    "MetricSpec",
    "MissingRequirementError",
    "NetworkDecoder",
    "NetworkEncoder",
    "NetworkSpec",
    "NoBoundError",
    "Objective",
    "OptionError",
    "Parts",
    "Phase",
    "PluginWarning",
    "Prior",
    "PriorSpec",
    "RunError",
    "Site",
    "Terms",
    "Trace",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "TrainingWarning",
    "UnknownComponentError",
    "UnknownVariantError",
    "VaezooError",
    "VariantSpec",
    "__version__",
    "create",
    "data",
    "describe",
    "draw",
    "evaluate",
    "fit",
    "heads",
    "hookimpl",
    "list_variants",
    "load",
    "networks",
    "objectives",
    "pictures",
    "priors",
    "register_kl",
    "save",
    "schedules",
    "testing",
    "wrap",
]

_MODULES = {
    "vaezoo.assembly": ("Parts",),
    "vaezoo.batch": ("Batch",),
    "vaezoo.errors": (
        "CheckpointError",
        "DataError",
        "DataWarning",
        "LatentsError",
        "MissingRequirementError",
        "NoBoundError",
        "OptionError",
        "PluginWarning",
        "RunError",
        "TrainingError",
        "TrainingWarning",
        "UnknownComponentError",
        "UnknownVariantError",
        "VaezooError",
    ),
    "vaezoo.evaluation": ("evaluate",),
    "vaezoo.model": ("VAE",),
    "vaezoo.networks.own": ("wrap",),
    "vaezoo.objectives": ("ELBO", "Objective", "Phase", "Terms"),
    "vaezoo.parts": (
        "Borrowed",
        "Decoder",
        "Encoder",
        "Folded",
        "NetworkDecoder",
        "NetworkEncoder",
        "Prior",
    ),
    "vaezoo.registry": (
        "DatasetSpec",
        "LikelihoodSpec",
        "MetricSpec",
        "NetworkSpec",
        "PriorSpec",
        "VariantSpec",
        "hookimpl",
        "list_variants",
    ),
    "vaezoo.trace": ("Site", "Trace", "draw", "register_kl"),
    "vaezoo.training": ("History", "Trainer", "TrainingConfig", "fit"),
    "vaezoo.weights": ("load", "save"),
    "vaezoo.zoo": ("create", "describe"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_SUBMODULES = (
    "data",
    "heads",
    "networks",
    "objectives",
    "pictures",
    "priors",
    "schedules",
    "testing",
)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"vaezoo.{name}")
    elif name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value = version("vaezoo")
        except PackageNotFoundError:  # a checkout that is not installed
            value = "unknown"
    else:
        raise AttributeError(f"module 'vaezoo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
