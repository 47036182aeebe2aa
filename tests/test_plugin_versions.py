"""A saved model where the plugin that made it is absent, disabled, broken, or another one now."""

from __future__ import annotations

from pathlib import Path

import pytest
from mine_plugin import MINE, VERSIONS
from plugin_projects import Done, Site, build, pip_install

pytestmark = pytest.mark.slow

TRAIN = ["--data", "mine/blobs", "--steps", "2", "--batch-size", "4", "--model.latent-dim", "2"]
PARTS = ["--model.prior", "mine/wide", "--model.network", "mine/dense"]
LINES = {
    "variant": ["sample", "runs/variant"],
    "part": ["sample", "runs/part"],
    "python": ["sample", "runs/variant/model/model.safetensors"],
    "resume": ["train", "--resume", "--out", "runs/again", "--steps", "3"],
    "from": ["train", "--init-from", "runs/variant", "--data", "sprites", "--out", "runs/new"],
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    built = build(VERSIONS.values(), tmp_path_factory.mktemp("built"))
    return {name: built[f"{p.name}-{p.version}"] for name, p in VERSIONS.items()}


@pytest.fixture(scope="module")
def work(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs made by version 1.2: a variant of it, and parts of it."""
    site = pip_install(tmp_path_factory.mktemp("saved"), wheels["same"])
    folder = tmp_path_factory.mktemp("work")
    again = ["train", "mine/skewed-vae", *TRAIN, "--out", "runs/again"]  # which is made longer
    for done in site.lines(
        ["train", "mine/skewed-vae", *TRAIN, "--out", "runs/variant"],
        ["train", "vae", *TRAIN, *PARTS, "--out", "runs/part"],
        again,
        cwd=folder,
    ):
        assert done.code == 0, done.err
    return folder


class Opened:
    """What LINES say of the runs where a version is installed, or none."""

    def __init__(self, wheels: dict[str, Path], work: Path, tmp: Path) -> None:
        self.wheels, self.work, self.tmp = wheels, work, tmp

    def __call__(self, version: str | None, *lines: str, **environment: str) -> list[Done]:
        site = Site(self.tmp / "nothing")
        if version:
            site = pip_install(self.tmp / version, self.wheels[version])
        site.path.mkdir(exist_ok=True)
        return site.lines(*(LINES[name] for name in lines), cwd=self.work, **environment)


@pytest.fixture
def opened(wheels: dict[str, Path], work: Path, tmp_path: Path) -> Opened:
    return Opened(wheels, work, tmp_path)


def test_where_it_is_the_same_or_a_patch_nothing_is_said(opened: Opened) -> None:
    for version in ("same", "patch"):
        for done in opened(version, "variant", "part"):
            assert (done.code, done.err) == (0, ""), version


def test_where_the_plugin_is_absent_its_distribution_version_and_command_are_named(
    opened: Opened,
) -> None:
    variant, part, python, resume, init = opened(None, *LINES)
    for done in (variant, python, resume, init):
        assert (
            "a variant 'mine/skewed-vae' of vaezoo-mine 1.2, which is not installed" in done.error
        )
        assert done.error.endswith("pip install 'vaezoo-mine==1.2'")
    assert "a network 'mine/dense' of vaezoo-mine 1.2, which is not installed" in part.error
    assert part.error.endswith("pip install 'vaezoo-mine==1.2'")


def test_where_it_is_disabled_or_broken_the_reason_is_told(opened: Opened) -> None:
    (done,) = opened("same", "variant", VAEZOO_DISABLE_PLUGINS="mine")
    assert "vaezoo-mine 1.2 is installed, but disabled" in done.error
    assert "take it out of $VAEZOO_DISABLE_PLUGINS" in done.error
    variant, part = opened("broken", "variant", "part")
    for done in (variant, part):
        assert "vaezoo-mine 4.0 is installed, but broken" in done.error
        assert "RuntimeError: boom (vaezoo_mine/__init__.py, line 1)" in done.error
        assert "pip install --upgrade vaezoo-mine" in done.error


def test_where_another_version_fits_it_serves_with_a_warning(opened: Opened) -> None:
    for done in opened("minor", "variant", "part", "resume"):
        assert done.code == 0, done.err
        (told,) = [line for line in done.err.splitlines() if "warning" in line]
        assert "it was saved with vaezoo-mine 1.2, and 1.3 is installed" in told
        assert "pip install 'vaezoo-mine==1.2'" in told


@pytest.mark.parametrize(
    ("version", "run", "parts"),
    [
        ("option", "variant", ["has no option 'skew'. Did you mean 'skews'?", "2.0 is installed"]),
        ("tensors", "part", ["does not fit its model: it lacks", "3.0 is installed"]),
        ("dropped", "variant", ["vaezoo-mine 5.0 is installed, and brings none"]),
        ("no-prior", "part", ["a prior 'mine/wide'", "vaezoo-mine 6.0 is installed, and brings"]),
    ],
)
def test_where_another_version_does_not_fit_it_is_named_as_the_cause(
    opened: Opened, version: str, run: str, parts: list[str]
) -> None:
    (done,) = opened(version, run)
    for part in (*parts, "vaezoo-mine 1.2", "pip install 'vaezoo-mine==1.2'"):
        assert part in done.error


def test_where_another_distribution_brings_the_name_it_is_told(opened: Opened) -> None:
    for done in opened("other", "variant"):
        assert done.code == 0
        assert (
            "its variant 'mine/skewed-vae' was that of vaezoo-mine 1.2, and here it is that of "
            "vaezoo-other 1.0"
        ) in done.err


def test_the_first_version_is_the_one_that_others_come_after() -> None:
    assert VERSIONS["same"] is MINE
    assert len({(p.name, p.version) for p in VERSIONS.values()}) == len(VERSIONS)
