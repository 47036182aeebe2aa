"""``vaezoo train``: a run, and what it ends with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vaezoo.cli.evaluate import are_figures, show_figures
from vaezoo.cli.tables import line
from vaezoo.cli.usage import flag_name, groups, tell, value_of
from vaezoo.errors import RunError
from vaezoo.registry import lookup
from vaezoo.registry.paths import chosen_dataset
from vaezoo.registry.specs import VariantSpec

if TYPE_CHECKING:
    from vaezoo.training.run_folder import RunFolder

WHICH_RUN = ("--out", "--resume", "--data-root")
"""The flags that say nothing of what a run does."""


def train(argv: Sequence[str]) -> None:
    """``vaezoo train``."""
    _check_names(argv)
    from vaezoo.cli.plan import make_plan
    from vaezoo.training import Trainer
    from vaezoo.training.run_folder import FIGURES, RunFolder

    plan = make_plan(argv)
    target = plan.target
    run = RunFolder(target.out)
    if run.exists() and not (target.resume or target.overwrite):
        raise RunError(
            f"{run.path} already holds a run: continue it with --resume, replace it with "
            f"--overwrite, or choose another folder with --out"
        )
    if target.resume and (run.path / FIGURES).exists():
        if any(flag_name(group[0]) not in WHICH_RUN for group in groups(argv) if group):
            plan.check_agrees(run)
        tell(f"the run in {run.path} is finished already")
        show_run(run)
        return
    if target.resume and not run.exists():
        tell(f"{run.path} holds no run yet: starting one")
    try:
        Trainer(plan.training).fit(
            plan.model(),
            target.data,
            out=run.path,
            resume=target.resume,
            overwrite=target.overwrite,
        )
    except KeyboardInterrupt as interrupt:
        if not run.exists():
            raise
        command = f"vaezoo train --resume --out {shlex.quote(str(run.path))}"
        raise KeyboardInterrupt(f"continue with `{command}`") from interrupt
    show_run(run)


def show_run(run: RunFolder) -> None:
    """What a finished run holds: its figures, its model, and its pictures."""
    from vaezoo.training.run_folder import FIGURES

    path = run.path / FIGURES
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not are_figures(figures):
        raise RunError(f"{path} does not hold the figures of a run: `vaezoo eval` makes them anew")
    show_figures(figures)
    line()
    line(f"model     {run.model}")
    for picture in sorted(run.samples.glob("*.png")):
        line(f"picture   {picture}")


def _check_names(argv: Sequence[str]) -> None:
    """Wrong names are told before torch is imported."""
    if argv and not argv[0].startswith("-"):
        lookup.find(VariantSpec, argv[0])
    if (data := value_of("--data", argv)) is not None:
        chosen_dataset(data)
