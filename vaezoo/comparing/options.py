"""The options of runs, by the names that the command line gives them, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vaezoo.comparing.runs import ComparedRun

ABSENT = object()
"""Of an option that a run does not have."""


def options_of_run(run: ComparedRun) -> dict[str, Any]:
    """All that was decided, in the order of the config: model, data, training."""
    model, data = run.config["model"], run.config["data"]
    found: dict[str, Any] = {"variant": run.variant}
    for part in ("options", "shared", "parts"):
        found |= _flat(model.get(part), "model.")
    found |= _flat({"preprocessing": model.get("preprocessing")}, "model.")
    found["data"] = data.get("name")
    for part in ("options", "splits"):
        found |= _flat(data.get(part), "data.")
    found["data.fingerprint"] = data.get("fingerprint")
    found |= _flat(run.config["training"], "")
    found["init_from"] = run.config.get("init_from")
    return found


def table(runs: Sequence[ComparedRun]) -> dict[str, list[Any]]:
    """Each option's value in each run; ABSENT where a run has no such option."""
    options = [options_of_run(run) for run in runs]
    longest = sorted(options, key=len, reverse=True)  # its order is the rows'
    names = sorted(dict.fromkeys(name for each in longest for name in each), key=_section)
    return {name: [each.get(name, ABSENT) for each in options] for name in names}


def differs(values: Sequence[Any]) -> bool:
    """Whether the runs have an option otherwise."""
    return len({shown(value) for value in values}) > 1


def shown(value: Any) -> str:
    """An option's value as one reads it."""
    if value is ABSENT:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _section(name: str) -> int:
    """Options of the model come first, then those of the data, then those of training."""
    heads = ("variant", "model", "data")
    head = name.partition(".")[0]
    return heads.index(head) if head in heads else len(heads)


def _flat(value: Any, prefix: str) -> dict[str, Any]:
    """A mapping of mappings by dotted names; a part's own name is the part's value."""
    found: dict[str, Any] = {}
    for name, each in value.items() if isinstance(value, Mapping) else ():
        if isinstance(each, Mapping):
            inner = dict(each)
            if "name" in inner:
                found[prefix + name] = inner.pop("name")
            found |= _flat(inner, f"{prefix}{name}.")
        elif each is not None or prefix != "model.":
            found[prefix + name] = each
    return found
