"""``vaezoo train NAME NAME ...``: several variants on the same data, and how they compare."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vaezoo import pictures
from vaezoo.cli import data_flags, defaults, metric_flags
from vaezoo.cli.arguments import wants_help
from vaezoo.cli.evaluate import ERROR, error, made_on, measured, number
from vaezoo.cli.model_flags import RIVALS
from vaezoo.cli.plan import COMMAND, RUNS, Plan, make_plan, run_name
from vaezoo.cli.tables import line, table
from vaezoo.cli.train import check_folder, figures_of, finish
from vaezoo.cli.usage import UsageError, flag_name, groups, tell, value_of
from vaezoo.errors import VaezooError
from vaezoo.model import VAE
from vaezoo.pictures.comparison import COLUMNS, comparison
from vaezoo.registry.paths import chosen_dataset
from vaezoo.shown import described, examples, shown_split
from vaezoo.weights import load


def train_several(names: Sequence[str], argv: Sequence[str]) -> None:
    """Train one after the other with the same flags; end with their figures and pictures."""
    if wants_help(argv):
        make_plan([names[0], "--help"])
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{repeated[0]} is named twice: name each variant once")
    folder = Path(value_of("--out", argv) or RUNS)
    data = chosen_dataset(value_of("--data", argv) or defaults.DATA)
    argv = data_flags.expanded(argv)
    lines = {
        name: [*_flags(name, argv), "--out", str(folder / run_name(name, data, argv))]
        for name in names
    }
    plans = _plans(lines)
    runs = {}
    for i, (name, plan) in enumerate(plans.items()):
        tell(f"{name}, {i + 1} of {len(names)}, in {plan.target.out}")
        try:
            runs[name] = finish(plan, lines[name])
        except KeyboardInterrupt as interrupt:
            rest = [token for token in argv if token not in ("--overwrite", "--resume")]
            command = shlex.join(["vaezoo", COMMAND, *rest, "--resume"])
            raise KeyboardInterrupt(f"continue with `{command}`") from interrupt
    models = {name: load(run.path) for name, run in runs.items()}
    figures = {name: figures_of(run) for name, run in runs.items()}
    _show(figures, models)
    line()
    for run in runs.values():
        line(f"run       {run.path}")
    if (picture := _draw(models, next(iter(plans.values())))) is not None:
        path = folder / f"comparison-{run_name('-'.join(names), data, argv)}.png"
        line(f"picture   {pictures.save_png(picture, path)}")
    for name, each in figures.items():
        for warning in each.get("warnings", ()):
            line(f"warning   {name}: {warning}")


def _flags(name: str, argv: Sequence[str]) -> list[str]:
    """The line that trains one of the variants alone, but for where."""
    rest = [group for group in groups(argv)[1:] if flag_name(group[0]) != "--out"]
    return [name, *(token for group in rest for token in group)]


def _plans(lines: Mapping[str, Sequence[str]]) -> dict[str, Plan]:
    """All plans, before the first is carried out. Raises UsageError unless they are alike."""
    plans, settings = {}, {}
    for name, own in lines.items():
        try:
            plans[name] = make_plan(own)
            check_folder(plans[name])
            settings[name] = _settings(plans[name])
        except VaezooError as refusal:
            raise UsageError(f"{name} cannot be trained with the others: {refusal}") from refusal
    (first, expected), *others = settings.items()
    for name, found in others:  # those of a resumed run are what it was started with
        shared = expected.keys() & found.keys()
        if differing := sorted(key for key in shared if expected[key] != found[key]):
            raise UsageError(
                f"{first} and {name} cannot be compared: they differ in {', '.join(differing)}; "
                f"train them anew with --overwrite, or in another folder with --out"
            )
    return plans


def _settings(plan: Plan) -> dict[str, Any]:
    """What must be the same of all: how they are trained, and their sizes, as far as they say."""
    config = plan.model().config
    assert config is not None
    settings = asdict(plan.resolved())
    if latents := {name: config.shared[name] for name in RIVALS if name in config.shared}:
        settings["latents"] = latents
    if "network" in config.parts:
        settings["network"] = config.parts["network"]
    return settings


def _show(figures: Mapping[str, Mapping[str, Any]], models: Mapping[str, VAE]) -> None:
    """A table of all figures, a row for each variant."""
    fullest = sorted(figures.values(), key=len, reverse=True)  # its order is the columns'
    names = [*dict.fromkeys(name for each in fullest for name in measured(each))]
    likelihoods = {name: _likelihood(model) for name, model in models.items()}
    line(made_on(fullest[0]))
    rows = [
        (name, likelihoods[name], *(_cell(each, figure) for figure in names))
        for name, each in figures.items()
    ]
    known = metric_flags.units()
    units = [f"{name.replace('_', '-')} ({known.get(name, 'nats')})" for name in names]
    table(rows, ["variant", "p(x|z)", *units])
    if len({*likelihoods.values()}) > 1:
        line("Nats under different likelihoods cannot be compared.")


def _likelihood(model: VAE) -> str:
    chosen = None if model.config is None else model.config.parts.get("likelihood")
    return chosen["name"] if chosen else "its own"


def _cell(figures: Mapping[str, Any], name: str) -> str:
    if name not in figures:
        return "none"
    return f"{number(figures[name])} {error(figures.get(name + ERROR))}".strip()


def _draw(models: Mapping[str, VAE], plan: Plan) -> Image | None:
    """The models side by side, where the data are images that can be shown."""
    data, binarization = plan.target.data, plan.training.binarization
    if len(data.input_shape) != 3 or data.input_shape[0] not in (1, 3):
        return None
    split, source = shown_split(data)
    x, y = examples(source, range(min(COLUMNS, len(source))), binarization)
    return comparison(models, x, y, of=described(data, split, binarization))
