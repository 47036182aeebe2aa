"""What went wrong with a plugin, and what to do about it, in words. Torch-free."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType

from vaezoo.registry.requirements import normalized


class BrokenPluginError(Exception):
    """Internal: why a plugin is skipped.

    advice: what to do about it; empty where nothing is better than another version, or none.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


def described(error: BaseException) -> str:
    """An exception in a line: its type, what it says, and the plugin's line that raised it."""
    from traceback import extract_tb, format_exception_only

    said = " ".join(format_exception_only(error)[-1].split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said} ({_short(error.filename)}, line {error.lineno})"
    frames = [f for f in extract_tb(error.__traceback__) if _is_a_plugins(f.filename)]
    return f"{said} ({_short(frames[-1].filename)}, line {frames[-1].lineno})" if frames else said


def _is_a_plugins(file: str) -> bool:
    own, library = Path(__file__).parents[1], Path(re.__file__).parents[1]
    path = Path(file)
    if file.startswith("<") or path.is_relative_to(own):
        return False
    return "site-packages" in path.parts or not path.is_relative_to(library)


def _short(file: str) -> str:
    """The file's name and that of its folder."""
    return "/".join(Path(file).parts[-2:])


def upgrade(distribution: str) -> str:
    """What to do where nothing better is known; to the author, who has it installed to edit it."""
    if folder := _edited_in(distribution):
        return f"mend it in {folder}, where it is installed from (pip install -e)"
    return f"pip install --upgrade {distribution}, or pip uninstall {distribution}"


def _edited_in(distribution: str) -> str:
    """The folder of an editable installation, or ""."""
    from urllib.parse import urlparse  # here: they take long, and most have no use for them
    from urllib.request import url2pathname

    try:
        url = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    editable = isinstance(url, dict) and (url.get("dir_info") or {}).get("editable")
    return url2pathname(urlparse(str(url.get("url"))).path) if editable else ""


def remedy(
    error: BaseException, distribution: str, *, module: str = "", requires: Iterable[str] = ()
) -> str:
    """What to do about an exception that importing ``module`` raised.

    requires: what the distribution says that it needs, as in its metadata.
    """
    if _is_ours(error):
        return f"pip install --upgrade vaezoo {distribution}, so that they fit each other"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing:
        return upgrade(distribution)
    top = missing.partition(".")[0]
    if top == module.partition(".")[0]:
        return (
            f"pip install --force-reinstall {distribution}; if it still lacks {missing!r}, tell "
            f"its author, or pip uninstall {distribution}"
        )
    for requirement in requires:
        asked = requirement.partition(";")[0].strip()
        name = re.match(r"[\w.-]+", asked)
        if name and normalized(name[0]) == normalized(top):
            return f"pip install '{asked}'"
    return (
        f"install what holds the module {top!r} (pip install {top}?) and tell the author of "
        f"{distribution}, which does not ask for it; or pip uninstall {distribution}"
    )


def _is_ours(error: BaseException) -> bool:
    """Whether something of vaezoo was asked for that this version does not have."""
    if isinstance(error, ImportError):
        return (error.name or "").partition(".")[0] == "vaezoo"
    lacking = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    return isinstance(lacking, ModuleType) and lacking.__name__.partition(".")[0] == "vaezoo"
