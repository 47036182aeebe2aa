"""What a plugin contributes: frozen specs, each with a lazy target. Torch-free."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from vaezoo.registry import requirements

NAME = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*/)?[a-z0-9]+(-[a-z0-9]+)*")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A named recipe.

    Raises ValueError for a name that is not kebab-case (or ``vendor/kebab-case``), for a target
    that is neither callable nor ``"module:attribute"``, and for what ``pip`` could not install.
    """

    kind: ClassVar[str] = "component"

    name: str
    """Kebab-case, optionally ``vendor/name``."""
    target: str | Callable[..., Any]
    """The recipe: a callable, or lazily ``"module:attribute"``."""
    summary: str = ""
    """One line for people."""
    requires: tuple[str, ...] = ()
    """Extra distributions that the recipe imports, as ``pip`` takes them: ``"zuko>=1.3"``."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ValueError(f"{self.kind} name {self.name!r} is not kebab-case or vendor/name")
        lazy = isinstance(self.target, str) and TARGET.fullmatch(self.target)
        if not (lazy or callable(self.target)):
            raise ValueError(
                f"{self.kind} {self.name!r}: target {self.target!r} is neither a callable "
                f"nor 'module:attribute'"
            )
        if not isinstance(self.requires, tuple | list):
            raise ValueError(
                f"{self.kind} {self.name!r}: requires={self.requires!r} is not a tuple of "
                f"requirements, as in requires=('zuko>=1.3',)"
            )
        for requirement in self.requires:
            requirements.check(requirement)

    @property
    def listed(self) -> str:
        """How errors list what exists."""
        return self.name

    def missing(self) -> tuple[str, ...]:
        """Those of ``requires`` that are not installed, or not in a version that serves."""
        return tuple(each for each in self.requires if requirements.unmet(each))

    def install_command(self) -> str:
        """How to get what is missing; "" where nothing is."""
        missing = self.missing()
        return shlex.join(["pip", "install", *missing]) if missing else ""

    def load(self) -> Callable[..., Any]:
        """The recipe itself. Raises what importing its module raises, or AttributeError."""
        if not isinstance(self.target, str):
            return self.target
        module, attribute = self.target.split(":")
        recipe: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return recipe


@dataclass(frozen=True, kw_only=True)
class VariantSpec(Spec):
    """A family of VAE. Recipe: ``(options, parts: vaezoo.Parts) -> vaezoo.VAE``."""

    kind: ClassVar[str] = "variant"

    paper: str = ""
    """Where it comes from: authors, year, title, and an address."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(Spec):
    """Recipe: ``(options, *, input_shape, output_shape, context_dim, direction) -> nn.Module``.

    The module maps (B, *input_shape), and (B, context_dim) if that is positive, to
    (B, *output_shape), with no non-linearity at its end. ``direction`` is "down" from the data
    to the code, "up" from the code to the data.
    """

    kind: ClassVar[str] = "network"


@dataclass(frozen=True, kw_only=True)
class PriorSpec(Spec):
    """Recipe: ``(options, parts: vaezoo.Parts) -> vaezoo.Prior``."""

    kind: ClassVar[str] = "prior"


@dataclass(frozen=True, kw_only=True)
class LikelihoodSpec(Spec):
    """Recipe: ``(options, event_shape) -> vaezoo.heads.Head``."""

    kind: ClassVar[str] = "likelihood"


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """Recipe: ``(options, root: pathlib.Path | None) -> vaezoo.data.Data``."""

    kind: ClassVar[str] = "dataset"

    reads: tuple[str, ...] = ()
    """Patterns of the files that it reads, such as ``*.csv``, or ``*/`` for folders: such a path
    stands for the dataset with the option ``path``, which it must have."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """Recipe: ``(options) -> Callable[[vaezoo.evaluation.Evaluation], dict[str, float]]``."""

    kind: ClassVar[str] = "metric"

    figures: tuple[str, ...] = ()
    """The names of its figures, if they are not its own."""
    units: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of figures that are not in nats."""

    @property
    def listed(self) -> str:
        return f"{self.name} ({', '.join(self.figures)})" if self.figures else self.name


SPECS: tuple[type[Spec], ...] = (
    VariantSpec,
    NetworkSpec,
    PriorSpec,
    LikelihoodSpec,
    DatasetSpec,
    MetricSpec,
)
