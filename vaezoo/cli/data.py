"""``vaezoo data``: what there is to train on, and what one of them holds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from vaezoo.cli.tables import line
from vaezoo.cli.usage import HELP, UsageError, is_flag
from vaezoo.registry import lookup
from vaezoo.registry.paths import chosen_dataset
from vaezoo.registry.specs import DatasetSpec


def data(argv: Sequence[str]) -> None:
    """``vaezoo data [NAME_OR_PATH]``."""
    if argv == ["--json"] or not argv:
        _list(as_json=bool(argv))
        return
    if argv[0] not in HELP and is_flag(argv[0]):
        raise UsageError("data: the name or path comes first, as in `vaezoo data mnist --json`")
    choice = None if argv[0] in HELP else chosen_dataset(argv[0])
    from vaezoo.cli.data_shown import show

    show(argv, choice)


def _list(*, as_json: bool) -> None:
    """The datasets, each with a line on what it is: plain text, since rich would take longer."""
    specs = sorted((spec for spec, _ in lookup.specs(DatasetSpec)), key=lambda spec: spec.name)
    if as_json:
        found = [{"name": s.name, "summary": s.summary, "reads": list(s.reads)} for s in specs]
        line(json.dumps(found, indent=2))
        return
    width = max(len(spec.name) for spec in specs)
    for spec in specs:
        command = spec.install_command()
        needs = f" (not installed: {command})" if command else ""
        line(f"{spec.name:<{width}}  {spec.summary}{needs}")
    line()
    line("A path stands for the dataset that reads it: a folder of images, or a file such as")
    patterns = [pattern for spec in specs for pattern in spec.reads if pattern != "*/"]
    line(f"{', '.join(patterns)}. `vaezoo data NAME_OR_PATH` shows what it holds.")
