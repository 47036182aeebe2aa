"""Which of the packages that plugins ask for are there. Torch-free.

``packaging`` is imported only where a requirement is more than a name, since it takes 15 ms.
"""

from __future__ import annotations

import re
from importlib import metadata

NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")


def normalized(name: str) -> str:
    """A distribution's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check(requirement: str) -> None:
    """Raise ValueError for what pip would not understand."""
    if not NAME.fullmatch(requirement):
        from packaging.requirements import Requirement

        Requirement(requirement)  # its error is a ValueError


def unmet(requirement: str) -> str:
    """Why a requirement, as pip takes it, is not met: "not installed", or what is; "" if it is."""
    try:
        if NAME.fullmatch(requirement):
            metadata.version(requirement)
            return ""
        return _unmet(requirement)
    except metadata.PackageNotFoundError as error:
        return f"{error.name} is not installed"


def _unmet(text: str) -> str:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker and not requirement.marker.evaluate():
        return ""
    found = metadata.distribution(requirement.name)
    if not requirement.specifier.contains(found.version, prereleases=True):
        return f"{requirement.name} {found.version} is installed"
    for extra in requirement.extras:  # what it asks for with the extra, and not without it
        for line in found.requires or ():
            marker = Requirement(line).marker
            asked = marker and not marker.evaluate() and marker.evaluate({"extra": extra})
            if asked and (why := unmet(line.partition(";")[0].strip())):
                return why
    return ""


def required_by(distribution: str) -> tuple[str, ...]:
    """What a distribution says that it needs; nothing where it is not there."""
    try:
        return tuple(metadata.requires(distribution) or ())
    except metadata.PackageNotFoundError:
        return ()


def vaezoo_asked_for(distribution: metadata.Distribution, installed: str) -> tuple[str, bool]:
    """Which vaezoo a distribution asks for, if not for the ``installed`` one, else "".

    And whether the installed one is too old for it.
    """
    for line in distribution.requires or ():
        name = re.match(r"[\w.-]+", line)
        if not name or normalized(name[0]) != "vaezoo" or NAME.fullmatch(line):
            continue
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.version import InvalidVersion, Version

        try:
            requirement, ours = Requirement(line), Version(installed)
        except (InvalidRequirement, InvalidVersion):  # a checkout that is not installed
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        failed = [s for s in requirement.specifier if not s.contains(ours, prereleases=True)]
        if failed:
            older = [s for s in failed if s.operator in (">=", ">", "~=", "==")]
            too_old = any(Version(s.version.removesuffix(".*")) > ours for s in older)
            return f"vaezoo{requirement.specifier}", too_old
    return "", False
