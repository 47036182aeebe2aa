"""``vaezoo new-plugin``: what it writes, and what it refuses to."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from vaezoo import OptionError, VaezooError, scaffold
from vaezoo.cli import main
from vaezoo.scaffold import template, write_plugin


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "distribution", "package", "recipe", "plugin"),
    [
        ("mine/ring-vae", "vaezoo-mine", "vaezoo_mine", "ring_vae", "mine"),
        ("ring-vae", "vaezoo-ring-vae", "vaezoo_ring_vae", "ring_vae", "ring-vae"),
        ("ring", "vaezoo-ring", "vaezoo_ring", "ring", "ring"),
        ("two-words/vae", "vaezoo-two-words", "vaezoo_two_words", "vae", "two-words"),
    ],
)
def test_every_name_is_the_users(
    tmp_path: Path, name: str, distribution: str, package: str, recipe: str, plugin: str
) -> None:
    folder = tmp_path / "new"
    write_plugin(name, folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == distribution
    assert project["entry-points"]["vaezoo"] == {plugin: package}
    contents = (folder / "src" / package / "__init__.py").read_text(encoding="utf-8")
    assert f'name="{name}"' in contents
    assert f'target="{package}.{recipe}:{recipe}"' in contents
    code = (folder / "src" / package / f"{recipe}.py").read_text(encoding="utf-8")
    assert f"def {recipe}(options: Options, parts: vaezoo.Parts)" in code
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {distribution}\n")
    for path in files(folder) - {"LICENSE"}:
        text = path + (folder / path).read_text(encoding="utf-8")
        assert "example" not in text.lower(), path
        assert "skewed" not in text.lower(), path
        if path.endswith(".py"):
            compile(text.removeprefix(path), path, "exec")


def test_under_the_templates_own_name_it_is_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "checked_names", scaffold.Names)
    write_plugin("example/skewed-vae", tmp_path / "new")
    for path in files(tmp_path / "new"):
        assert (tmp_path / "new" / path).read_bytes() == (template() / path).read_bytes(), path
    assert {"pyproject.toml", ".gitignore", ".github/workflows/test.yml"} <= files(
        tmp_path / "new"
    )


def test_the_command_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-plugin", "mine/ring-vae"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-5:] == [
        "cd vaezoo-mine",
        "pip install -e '.[test]'",
        "pytest",
        "vaezoo check mine/ring-vae",
        "vaezoo train mine/ring-vae",
    ]
    assert (tmp_path / "vaezoo-mine/src/vaezoo_mine/ring_vae.py").is_file()
    assert main(["new-plugin", "other/vae", "--dir", "in/a folder"]) == 0
    assert "cd 'in/a folder'" in capsys.readouterr().out
    assert (tmp_path / "in/a folder/pyproject.toml").is_file()


def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    write_plugin("mine/ring-vae", Path())
    assert Path("src/vaezoo_mine/ring_vae.py").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_it_imports_neither_torch_nor_numpy_nor_tyro(tmp_path: Path) -> None:
    code = "import sys; from vaezoo.cli import main; assert main(['new-plugin', 'mine/x']) == 0; "
    code += "assert not {'torch', 'numpy', 'tyro'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MyVAE", "Did you mean 'my-vae'?"),
        ("my_vae", "Did you mean 'my-vae'?"),
        ("../x", "Did you mean 'x'?"),
        ("mine/ring/vae", "Did you mean 'mine/ring'?"),
        ("", "is not kebab-case, as in ring-vae or mine/ring-vae."),
        ("lambda", "a word that Python or the template needs itself. Did you mean 'lambda-vae'?"),
        ("mine/vaezoo", "Did you mean 'mine/vaezoo-vae'?"),
        ("mine/2d-vae", "begins with a letter"),
        ("beta-vae", "exists already, in vaezoo: choose another name, such as mine/beta-vae"),
        ("first-party/ring-vae", "has a plugin 'first-party' already"),
        ("plugins/ring-vae", "a package 'vaezoo_plugins' is installed already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        write_plugin(name, tmp_path / "new")
    assert message in str(caught.value)
    assert not [*tmp_path.iterdir()]


def test_a_further_variant_of_an_installed_plugin_is_told_where_it_belongs(
    tmp_path: Path, install_plugin: Any
) -> None:
    code = {
        "vaezoo_mine.py": "import vaezoo\n@vaezoo.hookimpl\ndef vaezoo_specs():\n    return []"
    }
    install_plugin(distribution="vaezoo-mine", entry_point="mine", code=code)
    with pytest.raises(
        OptionError, match=r"vaezoo-mine 1.0 has a plugin 'mine' already: if it is"
    ):
        write_plugin("mine/second-vae", tmp_path / "new")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "kept.txt"):
        with pytest.raises(VaezooError, match="exists already, and nothing is overwritten"):
            write_plugin("mine/ring-vae", folder)
    assert files(tmp_path) == {"kept.txt"}
    with pytest.raises(VaezooError, match="cannot be written: Not a directory"):
        write_plugin("mine/ring-vae", tmp_path / "kept.txt" / "new")


def test_a_failure_on_the_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_text, []

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(VaezooError, match="cannot be written: No space left on device"):
        write_plugin("mine/ring-vae", tmp_path / "new")
    assert len(written) == 4
    assert not [*tmp_path.iterdir()]


def test_an_installation_without_the_template_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffold, "__file__", "/nowhere/vaezoo/scaffold.py")
    with pytest.raises(VaezooError, match="lacks the template"):
        template()
