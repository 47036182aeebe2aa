"""What a command line of ``vaezoo train`` asks for, settled in the order in which it can be.

1. The variant, the data and the folder: they decide which flags there are, and their defaults.
2. The parts of the model: those that are named, the base's, or where the options of an unnamed
   part are given, the one that the variant takes for these data.
3. All values, flags over base over defaults. The base is a resumed run's config, or the preset
   of the default run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from vaezoo.assembly import ModelConfig
from vaezoo.cli import data_flags, defaults, model_flags
from vaezoo.cli.arguments import Unset, flags, make, parse, wants_help
from vaezoo.cli.overrides import asked_for
from vaezoo.cli.reading import shown_reading
from vaezoo.cli.saved import recorded_data
from vaezoo.cli.usage import UsageError, flag_name, given, groups, is_flag
from vaezoo.data import Data, as_data
from vaezoo.errors import CheckpointError, RunError
from vaezoo.model import VAE
from vaezoo.options import build, options_of
from vaezoo.registry import lookup
from vaezoo.registry.paths import chosen_dataset, label_of
from vaezoo.registry.specs import VariantSpec
from vaezoo.training.config import Resolved, TrainingConfig
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.trainer import resolve_for, run_config
from vaezoo.weights import load, parse_config, read_config
from vaezoo.zoo import create

COMMAND = "train"
RUNS = "runs"
VARIANT_NAME = tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Train:
    """What ``vaezoo train`` takes beside the options of training and of the model."""

    name: Annotated[Unset[str], tyro.conf.Positional, VARIANT_NAME] = None
    """The variant; see `vaezoo list`. Default: beta-vae. Several, as in `vaezoo train ae vae`, are
    trained one after the other and compared."""
    data: Unset[str] = None
    """The data to learn from: a name, or a folder of images, an array file or a CSV; see
    `vaezoo data`. Default: sprites, which need no download."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    out: Unset[Path] = None
    """The run's folder; of several variants, the folder of their runs. Default: runs/NAME-DATA."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with the run in the folder; what it was started with need not be said again."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the run in the folder."""
    init_from: Unset[Path] = None
    """Fine-tune: start from the weights of this run or model, whose variant and parts are then
    the default."""
    set: Unset[tuple[str, ...]] = None
    """KEY=VALUE ..., another way to give options: --set steps=500 model.beta=2 is --steps 500
    --model.beta 2."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the flags go over: of training, and of the model as ``vaezoo.create`` takes it."""

    training: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which run it is, settled before the other flags."""

    variant: str
    choice: Mapping[str, Any]
    """Of the data: {"name": ..., options}."""
    data_root: Path | None
    out: Path
    base: Base
    resume: bool
    overwrite: bool
    init_from: Path | None = None
    said: frozenset[str] = frozenset()
    """Which options of the model the line gives."""

    settled: bool = False
    """Whether a run or a saved model says all of the model."""

    @cached_property
    def offered(self) -> Mapping[str, Any]:
        """Defaults of the model for these data."""
        return {} if self.settled else defaults.offered(self.choice["name"], self.data, self.said)

    @cached_property
    def data(self) -> Data:
        with shown_reading():
            return as_data(self.choice, root=self.data_root)

    def model(self, options: Mapping[str, Any]) -> VAE:
        """A new model for the data."""
        data = self.data
        offered = {"num_classes": data.num_classes, **self.offered}
        model = create(self.variant, input_shape=data.input_shape, offered=offered, **options)
        model.preprocessing = data.preprocessing
        return model


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can be started."""

    target: Target
    training: TrainingConfig
    options: Mapping[str, Any]
    """Of the model, as ``vaezoo.create`` takes them."""
    overrides: Mapping[str, Any]
    """What the line asked for, by dotted name."""

    def model(self) -> VAE:
        """The run's model, the same at each call. CheckpointError if it starts from weights
        that do not fit it."""
        torch.manual_seed(self.training.seed)
        model = self.target.model(self.options)
        origin = self.target.init_from
        if origin is None:
            return model
        try:
            return load(origin, into=model)
        except CheckpointError as error:
            flags = [f"--{name}" for name in self.overrides if name.startswith("model.")]
            if not flags:
                raise
            raise CheckpointError(
                f"{error}. It is made as {origin} says but for {' and '.join(flags)}: leave out "
                f"what changes its shapes"
            ) from error

    def longer_than(self, run: RunFolder) -> bool:
        """Whether this is the run's plan with more steps. RunError unless it is its plan."""
        return run.longer(run_config(self.model(), self.target.data, self.resolved()))

    def resolved(self) -> Resolved:
        """The run's training with nothing left open."""
        return resolve_for(self.model(), self.target.data, self.training)


def make_plan(argv: Sequence[str]) -> Plan:
    """What to run.

    Raises VaezooError for what cannot be run, SystemExit(0) once the help is shown.
    """
    argv = data_flags.expanded(argv)
    target = settle(argv)
    model_flags.check_parts(argv)
    parts = model_flags.chosen_parts(argv, target.base.model)
    if not wants_help(argv):
        parts |= _defaults_of_open_slots(argv, target, parts)
    parsed = _parse(argv, target, parts)
    if parsed.name not in (None, target.variant):
        raise UsageError(f"the variant comes first: vaezoo train {parsed.name} --option value ...")
    values = {option.name: getattr(parsed, option.name) for option in options_of(TrainingConfig)}
    if {"--epochs", "--steps"} <= given(argv):
        raise UsageError("give --epochs or --steps, not both")
    if "--epochs" in given(argv):
        values["steps"] = None  # the base's
    training = build(TrainingConfig, values, COMMAND)
    options = model_flags.model_values(parsed.model)
    return Plan(
        target=target,
        training=training,
        options=options,
        overrides=asked_for(argv, training, options, target.choice),
    )


def settle(argv: Sequence[str]) -> Target:
    """Which run a line means, from the flags that do not depend on that."""
    cls = make("Train", options_of(TrainingConfig), bases=(Train,))
    known = flags(cls)
    understood = [
        g for g in groups(argv) if not g or not is_flag(g[0]) or flag_name(g[0]) in known
    ]
    asked: Train = parse(cls, [token for group in understood for token in group], COMMAND)
    if asked.resume and asked.overwrite:
        raise UsageError("give --resume or --overwrite, not both")
    if asked.resume and asked.init_from is not None:
        raise UsageError("give --resume or --init-from, not both")
    origin = None if asked.init_from is None else read_config(asked.init_from)
    variant = asked.name or (defaults.VARIANT if origin is None else origin.variant)
    lookup.find(VariantSpec, variant)
    choice: Mapping[str, Any] = chosen_dataset(defaults.DATA if asked.data is None else asked.data)
    base = Base()
    if choice["name"] == defaults.DATA:
        model = defaults.MODEL if variant == defaults.VARIANT else {}
        base = Base(
            training=defaults.for_steps(defaults.TRAINING, asked.steps),  # type: ignore[attr-defined]
            model=defaults.for_steps(model, asked.steps),  # type: ignore[attr-defined]
        )
    if origin is not None:
        base = Base(training=base.training, model=_model_base(origin, variant))
    out, init_from = asked.out or Path(RUNS) / run_name(variant, choice, argv), asked.init_from
    run = RunFolder(out)
    resumed = asked.resume and not wants_help(argv) and (run.exists() or asked.name is None)
    if resumed:
        base, variant, choice, init_from = _recorded(run, asked)
    return Target(
        variant=variant,
        choice=data_flags.with_flags(choice, argv, COMMAND),
        data_root=asked.data_root,
        out=out,
        base=base,
        resume=asked.resume,
        overwrite=asked.overwrite,
        init_from=init_from,
        said=model_flags.said(argv),
        settled=resumed or origin is not None,
    )


def run_name(variant: str, choice: Mapping[str, Any], argv: Sequence[str]) -> str:
    """What a run's folder is called. choice: the dataset, to which the line may add options."""
    called = label_of(data_flags.with_flags(choice, argv, COMMAND))
    return f"{variant}-{called}".replace("/", "-")


def _model_base(config: ModelConfig, variant: str) -> dict[str, Any]:
    """What a saved model was made from; its options only where they are those of the variant."""
    shared = {k: v for k, v in config.shared.items() if k not in model_flags.FROM_DATA}
    own = config.options if config.variant == variant else {}
    return {**own, **shared, **config.parts}


def _recorded(run: RunFolder, asked: Train) -> tuple[Base, str, Mapping[str, Any], Path | None]:
    """What a run was started with: its values, variant, data, and weights if it needs them."""
    config = run.config()
    model = parse_config(config["model"], run.path)
    data = recorded_data(config, run.path)
    if asked.name not in (None, model.variant):
        raise RunError(
            f"{run.path} cannot be resumed with another variant: it has {model.variant!r}"
        )
    if asked.data is not None and not chosen_dataset(asked.data).items() <= data.items():
        name = data.get("path") or data["name"]
        raise RunError(f"{run.path} cannot be resumed with another data: it has {name!r}")
    base = Base(training=config["training"], model=_model_base(model, model.variant))
    origin = config.get("init_from") if run.safe_step() == 0 else None
    return base, model.variant, data, Path(origin) if isinstance(origin, str) else None


def _parse(argv: Sequence[str], target: Target, parts: Mapping[str, Any]) -> Any:
    base = target.base
    values = model_flags.without_rivals(argv, base.model)
    model = model_flags.model_class(target.variant, values, parts)
    nested = {"model": ("model", model), **data_flags.nested(target.choice)}
    cls = make("Train", options_of(TrainingConfig), base.training, nested, bases=(Train,))
    if not wants_help(argv):
        model_flags.check_owners(given(argv) - {*flags(cls)})
    about = (
        f"Train a model; here with the options of {target.variant} and of the data "
        f"{target.choice['name']}, others have others. "
        f"The options of a network, likelihood or prior are shown when it is named, as in "
        f"`vaezoo train {target.variant} --model.network mlp --help`."
    )
    return parse(cls, argv, COMMAND, about)


def _defaults_of_open_slots(
    argv: Sequence[str], target: Target, parts: Mapping[str, Any]
) -> dict[str, Any]:
    """The parts that the model takes by itself, where the line gives options of those."""
    slots = model_flags.open_slots(argv, parts)
    if not slots:
        return {}
    closed = tuple(f"{model_flags.PREFIX}{slot}." for slot in slots)
    rest = [g for g in groups(argv) if not (g and flag_name(g[0]).startswith(closed))]
    parsed = _parse([token for group in rest for token in group], target, parts)
    config = target.model(model_flags.model_values(parsed.model)).config
    assert config is not None
    # Their names alone: the defaults of their options are the parts' own.
    return {slot: {"name": config.parts[slot]["name"]} for slot in slots if slot in config.parts}
