"""A new plugin, written from the template ``plugins/vaezoo-example``. Torch-free.

The template is a working package: what is replaced in it are its names, in files and paths alike.
"""

from __future__ import annotations

import importlib.util
import io
import keyword
import re
import secrets
import shutil
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaezoo.errors import OptionError, VaezooError
from vaezoo.registry import lookup
from vaezoo.registry.specs import NAME, VariantSpec

PARTS = (".github", ".gitignore", "LICENSE", "README.md", "pyproject.toml", "src", "tests")
"""What the template consists of; in a checkout there may be caches beside it."""


@dataclass(frozen=True)
class Names:
    """All that a plugin with this variant is called."""

    variant: str
    """As ``vaezoo.create`` takes it: ``mine/ring-vae``."""

    @property
    def plugin(self) -> str:
        """The vendor, or without one the variant: ``mine``."""
        return self.variant.split("/")[0]

    @property
    def distribution(self) -> str:
        """What ``pip install`` takes: ``vaezoo-mine``."""
        return f"vaezoo-{self.plugin}"

    @property
    def package(self) -> str:
        """What is imported: ``vaezoo_mine``."""
        return self.distribution.replace("-", "_")

    @property
    def recipe(self) -> str:
        """The function, and the module that holds it: ``ring_vae``."""
        return self.variant.split("/")[-1].replace("-", "_")

    @property
    def tokens(self) -> tuple[str, ...]:
        """How they are written in a package; whatever contains another comes before it."""
        entry_point = f"{self.plugin} = "
        return self.variant, self.distribution, self.package, entry_point, self.recipe


TEMPLATE = Names("example/skewed-vae")


def write_plugin(name: str, folder: Path) -> Names:
    """Write a package that brings the variant ``name``, whole or not at all.

    Raises OptionError for a name that cannot be used, VaezooError for a folder that cannot.
    """
    names = checked_names(name)
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise VaezooError(
            f"{folder} exists already, and nothing is overwritten: choose another folder"
        )
    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        staged.mkdir(parents=True)
        for path, text in _files(names):
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_text(text, encoding="utf-8")
        if folder.exists():  # and is empty; somebody may stand in it
            for part in staged.iterdir():
                part.rename(folder / part.name)
        else:
            staged.rename(folder)
    except OSError as error:
        raise VaezooError(
            f"{folder} cannot be written: {error.strerror or error}; choose another folder"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return names


def checked_names(name: str) -> Names:
    """The names of a plugin that does not exist yet. Raises OptionError."""
    if not NAME.fullmatch(name):
        better = _kebab(name)
        hint = f" Did you mean {better!r}?" if better else ""
        raise OptionError(f"{name!r} is not kebab-case, as in ring-vae or mine/ring-vae.{hint}")
    names = Names(name)
    if not names.recipe.isidentifier():
        raise OptionError(f"a variant's name begins with a letter, unlike {name!r}")
    if names.recipe in _reserved():
        raise OptionError(
            f"{name!r} would be a function {names.recipe!r}, a word that Python or the template "
            f"needs itself. Did you mean '{name}-vae'?"
        )
    for spec, plugin in lookup.specs(VariantSpec):
        if spec.name == name:
            raise OptionError(
                f"the variant {name!r} exists already, in {plugin.distribution}: choose another "
                f"name, such as mine/{name.split('/')[-1]}"
            )
    for plugin in lookup.plugins():
        if plugin.name == names.plugin:
            raise OptionError(
                f"{plugin.distribution} {plugin.version} has a plugin {plugin.name!r} already: if "
                f"it is yours, add the variant there, one file and one spec; else choose another "
                f"name"
            )
    if importlib.util.find_spec(names.package) is not None:
        raise OptionError(f"a package {names.package!r} is installed already: choose another name")
    return names


def template() -> Path:
    """Where the template lies: in the wheel, or in the checkout. Raises VaezooError."""
    package = Path(__file__).parent
    for folder in (package / "_template", package.parent / "plugins" / TEMPLATE.distribution):
        if (folder / "pyproject.toml").exists():
            return folder
    raise VaezooError("this installation of vaezoo lacks the template of plugins: reinstall it")


def _files(names: Names) -> Iterator[tuple[str, str]]:
    """The files of the package: path and text."""
    values = dict(zip(TEMPLATE.tokens, names.tokens, strict=True))
    pattern = re.compile("|".join(map(re.escape, values)))

    def renamed(text: str) -> str:
        return pattern.sub(lambda found: values[found[0]], text)

    for part in PARTS:
        path = template() / part
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                relative = file.relative_to(template()).as_posix()
                yield renamed(relative), renamed(file.read_text(encoding="utf-8"))


def _reserved() -> set[str]:
    """What the recipe cannot be called: Python's words, and those of the code around it."""
    code = template() / "src" / TEMPLATE.package / f"{TEMPLATE.recipe}.py"
    tokens = tokenize.generate_tokens(io.StringIO(code.read_text(encoding="utf-8")).readline)
    used = {token.string for token in tokens if token.type == tokenize.NAME}
    return {*keyword.kwlist, *used} - {TEMPLATE.recipe}


def _kebab(name: str) -> str:
    """The nearest name that is allowed: ``My_VAE`` as ``my-vae``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    words = [re.sub(r"[^a-z0-9]+", "-", part).strip("-") for part in apart.split("/")]
    return "/".join(list(filter(None, words))[:2])
