"""Whether a run that is there can go on under a config, and for longer than it was meant to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaezoo.errors import RunError

COMPARED = ("model", "data", "training")  # must be the same for a run to go on
FREE = dict.fromkeys(("vaezoo", "classes", "log"))  # but for version, names, what only looks on
PLUGINS = ("plugin", "part_plugins")  # of the model: compared but for their versions
FINGERPRINT = "data.fingerprint"
TOTALS = ("steps", "epochs")  # but for these, which may grow


def longer(recorded: Mapping[str, Any], config: Mapping[str, Any], name: str) -> bool:
    """Whether ``config`` is that of the recorded run, only longer.

    Raises RunError where it differs in anything else, or is shorter.
    """
    found = []
    for part in COMPARED:
        old, new = ({**_without_versions(c[part]), **FREE} for c in (recorded, config))
        if part == "training":
            for total in TOTALS:
                old.pop(total, None), new.pop(total, None)
        found += _differences(old, new, part)
    (unit, before), (new_unit, after) = (_total(c["training"]) for c in (recorded, config))
    if unit != new_unit:
        found.append(f"the run is counted in {unit}, not in {new_unit}")
    elif after < before:
        found.append(
            f"training.{unit} was {before} and now is {after}, and a run can only be made longer"
        )
    if found:
        raise RunError(f"{name} cannot be resumed with another config: {'; '.join(found[:3])}")
    return unit == new_unit and after > before


def extended(recorded: Mapping[str, Any], config: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The recorded config with the greater total of ``config``, taken up at ``step``."""
    training = config["training"]
    totals = {total: training[total] for total in TOTALS}
    return {
        **recorded,
        "training": {**recorded["training"], **totals},
        "totals": [*recorded.get("totals", []), {"from_step": step, **totals}],
    }


def _total(training: Mapping[str, Any]) -> tuple[str, int]:
    """In which unit a run is counted, and how long it is."""
    unit = "epochs" if training.get("steps") is None else "steps"
    return unit, training.get(unit) or 0


def _without_versions(part: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: plain(v) for key, v in value.items() if key != "version"}

    return {name: plain(value) if name in PLUGINS else value for name, value in part.items()}


def _differences(old: Any, new: Any, where: str) -> list[str]:
    """What is recorded otherwise. None is as good as nothing: of an option that came later."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            found += _differences(old.get(key), new.get(key), f"{where}.{key}")
        return found
    if old == new:
        return []
    if where == FINGERPRINT:
        return [f"its data have changed since it began ({where})"]
    if _numbers(old) and _numbers(new):
        return [f"{where} has other numbers"]
    return [f"{where} was {_brief(old)} and now is {_brief(new)}"]


def _numbers(value: Any) -> bool:
    """Whether it is a list of them, such as the means of columns, which nobody compares by eye."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 2
        and all(isinstance(number, float) for number in value)
    )


def _brief(value: Any) -> str:
    """A value, as much of it as one reads."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]} ..."
