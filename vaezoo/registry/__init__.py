"""What exists and where it comes from. Nothing here imports torch or numpy."""

from vaezoo.registry.hooks import hookimpl
from vaezoo.registry.lookup import list_variants, plugins, refresh
from vaezoo.registry.specs import (
    DatasetSpec,
    LikelihoodSpec,
    MetricSpec,
    NetworkSpec,
    PriorSpec,
    Spec,
    VariantSpec,
)

__all__ = [
    "DatasetSpec",
    "LikelihoodSpec",
    "MetricSpec",
    "NetworkSpec",
    "PriorSpec",
    "Spec",
    "VariantSpec",
    "hookimpl",
    "list_variants",
    "plugins",
    "refresh",
]
