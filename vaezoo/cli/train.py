"""``vaezoo train``: a run, and what it ends with."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaezoo.cli.evaluate import are_figures, show_figures
from vaezoo.cli.overrides import expanded
from vaezoo.cli.tables import line
from vaezoo.cli.usage import flag_name, groups, tell, value_of
from vaezoo.errors import RunError, TrainingWarning
from vaezoo.registry import lookup
from vaezoo.registry.paths import chosen_dataset
from vaezoo.registry.specs import VariantSpec

if TYPE_CHECKING:
    from vaezoo.cli.plan import Plan
    from vaezoo.training.run_folder import RunFolder

WHICH_RUN = ("--out", "--resume", "--data-root")
"""The flags that say nothing of what a run does."""


def train(argv: Sequence[str]) -> None:
    """``vaezoo train``."""
    argv = expanded(argv)
    names = groups(argv)[0]
    _check_names(names, argv)
    if len(names) > 1:
        from vaezoo.cli.several import train_several

        train_several(names, argv)
        return
    from vaezoo.cli.plan import make_plan

    plan = make_plan(argv)
    check_folder(plan)
    show_run(finish(plan, argv))


def check_folder(plan: Plan) -> None:
    """Raise RunError for a folder whose run is neither to be continued nor to be replaced."""
    from vaezoo.training.run_folder import RunFolder

    target = plan.target
    if RunFolder(target.out).exists() and not (target.resume or target.overwrite):
        _check_options(plan)
        raise RunError(
            f"{target.out} already holds a run: continue it with --resume, replace it with "
            f"--overwrite, or choose another folder with --out"
        )


def _check_options(plan: Plan) -> None:
    """Raise what wrong options raise, as far as they can be told without the data."""
    from vaezoo.assembly import SharedOptions
    from vaezoo.choosing import choose
    from vaezoo.cli.model_flags import SLOTS
    from vaezoo.options import build, options_class, options_of
    from vaezoo.training.config import resolve
    from vaezoo.training.hardware import resolve_device

    resolve_device(plan.training.device)
    if plan.training.steps is not None:
        resolve(plan.training, None)
    variant = plan.target.variant
    for slot, kind in SLOTS.items():
        if slot in plan.options:
            choose(kind, plan.options[slot])
    for cls in (options_class(lookup.recipe(lookup.find(VariantSpec, variant))), SharedOptions):
        names = {option.name for option in options_of(cls)} - {*SLOTS}
        build(cls, {k: v for k, v in plan.options.items() if k in names}, variant)


def finish(plan: Plan, argv: Sequence[str]) -> RunFolder:
    """Train as planned, or what is left of it; argv: the line that the plan was made of."""
    from vaezoo.cli import defaults
    from vaezoo.training import Trainer
    from vaezoo.training.run_folder import FIGURES, RunFolder

    target = plan.target
    run = RunFolder(target.out)
    if target.resume and (run.path / FIGURES).exists():
        said = any(flag_name(group[0]) not in WHICH_RUN for group in groups(argv) if group)
        if not (said and plan.longer_than(run)):
            tell(f"the run in {run.path} is finished already")
            return run
    if why := defaults.reason(target.offered):
        tell(why)
    if target.resume and not run.exists():
        tell(f"{run.path} holds no run yet: starting one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # show_run has them
            Trainer(plan.training).fit(
                plan.model(),
                target.data,
                out=run.path,
                resume=target.resume,
                overwrite=target.overwrite,
                overrides=plan.overrides,
            )
    except KeyboardInterrupt as interrupt:
        if not run.exists():
            raise
        command = f"vaezoo train --resume --out {shlex.quote(str(run.path))}"
        raise KeyboardInterrupt(f"continue with `{command}`") from interrupt
    return run


def show_run(run: RunFolder) -> None:
    """What a finished run holds: its figures, its model, its pictures, and what went wrong."""
    figures = figures_of(run)
    show_figures(figures)
    line()
    line(f"model     {run.model}")
    for picture in sorted(run.samples.glob("*.png")):
        line(f"picture   {picture}")
    for warning in figures.get("warnings", ()):
        line(f"warning   {warning}")


def figures_of(run: RunFolder) -> Mapping[str, Any]:
    """The figures that a run ended with. Raises RunError where they cannot be read."""
    from vaezoo.training.run_folder import FIGURES

    path = run.path / FIGURES
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not are_figures(figures):
        raise RunError(f"{path} does not hold the figures of a run: `vaezoo eval` makes them anew")
    return figures


def _check_names(names: Sequence[str], argv: Sequence[str]) -> None:
    """Wrong names are told before torch is imported."""
    for name in names:
        lookup.find(VariantSpec, name)
    if (data := value_of("--data", argv)) is not None:
        chosen_dataset(data)
