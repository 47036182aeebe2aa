"""Real distributions, built and installed with pip: a broken one breaks nothing else.

One environment holds all that are broken at once, beside sound ones, which is the harshest test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from broken_plugins import BROKEN, PAIRS, SOUND, plugin, sound, variant
from plugin_projects import Done, Site, build, pip_install, run

pytestmark = pytest.mark.slow

OWN = ["ae", "annealed-vae", "beta-vae", "cvae", "sigma-vae", "vae"]
THEIRS = [
    "half/vae",
    "loud/vae",
    "needy/met",
    "setter/vae",
    "shared/vae",
    "slow/vae",
    "sound/vae",
    "twin-a/vae",
]
TRAIN = ["--data", "x.npy", "--steps", "2", "--batch-size", "4", "--model.latent-dim", "2"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build([*SOUND, *BROKEN, *PAIRS], tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def site(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Where all are installed."""
    return pip_install(tmp_path_factory.mktemp("site"), *wheels.values())


@pytest.fixture(scope="module")
def pairs(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Where those alone are installed that meet, so that nothing slow is."""
    files = [wheels[f"{each.name}-{each.version}"] for each in PAIRS]
    return pip_install(tmp_path_factory.mktemp("pairs"), *files)


@pytest.fixture(scope="module")
def listed(site: Site) -> Done:
    return site.vaezoo("list")


@pytest.fixture(scope="module")
def records(site: Site) -> dict[str, dict[str, Any]]:
    """What ``vaezoo plugins --json`` tells, by ``distribution:name``."""
    done = site.vaezoo("plugins", "--json")
    assert done.code == 0
    return {f"{each['distribution']}:{each['name']}": each for each in json.loads(done.out)}


def test_everything_that_works_is_listed_beside_all_that_is_broken(listed: Done) -> None:
    assert listed.code == 0
    names = [line.split()[0] for line in listed.out.splitlines()]
    assert {*OWN, *THEIRS} <= {*names}
    assert names == sorted(names)
    assert not {"raises/vae", "yields/vae", "misspelt/vae"} & {*names}


REASONS = {
    "imports": ("No module named 'no_such_module_anywhere' (vaezoo_imports/__init__.py, line 1)",
                "tell the author of vaezoo-imports"),
    "declares": ("No module named 'declared_module'", "pip install 'declared-module>=2'"),
    "syntax": ("SyntaxError", "pip install --upgrade vaezoo-syntax"),
    "exits": ("SystemExit: 3", "pip uninstall vaezoo-exits"),
    "raises": ("its hook vaezoo_specs failed with ValueError: half way", "pip uninstall"),
    "misspelt": ("unknown hook 'vaezoo_spec': the one hook is 'vaezoo_specs'", "pip uninstall"),
    "unmarked": ("is not marked with @vaezoo.hookimpl", "pip uninstall"),
    "returns": ("returned a VariantSpec instead of yielding specs", "pip uninstall"),
    "yields": ("yielded {'name': 'yields/vae'}, which is none of VariantSpec", "pip uninstall"),
    "function": ("it must name 'vaezoo_function'", "pip uninstall"),
    "malformed": ("its entry point 'not valid!!' is not the name of a module", "pip uninstall"),
    "clash": ("'vae' already belongs to the plugin 'first-party' of vaezoo", "pip uninstall"),
    "second": ("'shared/vae' already belongs to the plugin 'first' of vaezoo-first 1.0",
               "pip uninstall vaezoo-second, or pip uninstall vaezoo-first"),
    "future": ("it needs vaezoo>=9, and this is 0.", "pip install --upgrade vaezoo;"),
    "past": ("it needs vaezoo<0.1, and this is 0.", "pip install --upgrade vaezoo-past, for one"),
    "newer": ("no attribute 'NotThereYet'", "pip install --upgrade vaezoo vaezoo-newer"),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_a_broken_plugin_is_told_with_distribution_reason_and_remedy(
    name: str, listed: Done, records: dict[str, dict[str, Any]]
) -> None:
    distribution, (reason, remedy) = f"vaezoo-{name}", REASONS[name]
    start = f"vaezoo: warning: the vaezoo plugin {name!r} of {distribution} 1.0 was skipped: "
    (told,) = [line for line in listed.err.splitlines() if line.startswith(start)]
    record = records[f"{distribution}:{name}"]
    assert (record["status"], record["version"], record["brings"]) == ("broken", "1.0", {})
    for text in (reason, remedy, f"VAEZOO_DISABLE_PLUGINS={name}"):
        assert text in told
    assert reason in record["error"]
    assert remedy in record["what_to_do"]


def test_every_broken_plugin_is_in_that_table() -> None:
    assert {*REASONS} == {each.name.removeprefix("vaezoo-") for each in BROKEN} | {"second"}


def test_of_two_plugins_of_one_distribution_the_sound_one_works(
    records: dict[str, dict[str, Any]],
) -> None:
    assert records["vaezoo-half:half"]["brings"] == {"variant": ["half/vae"]}
    broken = records["vaezoo-half:half-broken"]
    assert "No module named 'vaezoo_half.absent'" in broken["error"]
    assert "pip install --force-reinstall vaezoo-half" in broken["what_to_do"]


def test_two_distributions_with_one_entry_point_name_are_told_apart(
    pairs: Site, records: dict[str, dict[str, Any]]
) -> None:
    assert records["vaezoo-twin-a:twin"]["status"] == "ok"
    broken = records["vaezoo-twin-b:twin"]
    assert "VAEZOO_DISABLE_PLUGINS=vaezoo-twin-b:twin" in broken["what_to_do"]
    for disabled, expected in {
        "vaezoo-twin-b:twin": ("ok", "disabled"),
        "VAEZOO_twin.A": ("disabled", "broken"),  # a distribution, as pip would take it
        "other, twin": ("disabled", "disabled"),
    }.items():
        done = pairs.vaezoo("plugins", "--json", VAEZOO_DISABLE_PLUGINS=disabled)
        found = {p["distribution"]: p["status"] for p in json.loads(done.out)}
        assert (found["vaezoo-twin-a"], found["vaezoo-twin-b"]) == expected, disabled


def test_of_two_plugins_that_clash_either_can_be_used(pairs: Site) -> None:
    done = pairs.vaezoo("plugins", "--json", VAEZOO_DISABLE_PLUGINS="first")
    found = {p["name"]: p["status"] for p in json.loads(done.out)}
    assert (found["first"], found["second"]) == ("disabled", "ok")


def test_what_a_plugin_prints_or_warns_of_is_in_no_output(listed: Done) -> None:
    for said in ("hello from the import", "hello from the hook", "a warning"):
        assert said in listed.err
        assert said not in listed.out


def test_a_slow_plugin_slows_no_import_and_is_named(
    site: Site, records: dict[str, dict[str, Any]]
) -> None:
    script = """
        import json, sys, vaezoo
        print(json.dumps("vaezoo_slow" in sys.modules))
    """
    assert site.report(script) is False
    assert records["vaezoo-slow:slow"]["seconds"] > 0.7
    assert records["vaezoo-sound:sound"]["seconds"] < 0.5


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_shows_all_of_it_however_wide(site: Site, columns: int) -> None:
    script = """
        import sys
        from vaezoo.cli import main, tables
        tables.PIPED_WIDTH = int(sys.argv[1])
        main(["plugins"])
    """
    done = site.python("-c", "\n".join(map(str.strip, script.splitlines())), columns)
    assert max(map(len, done.out.splitlines())) <= columns
    words = " ".join(done.out.split())
    for text in (
        "twin vaezoo-twin-b 1.0 broken nothing",
        "past, of vaezoo-past 1.0: broken why it needs vaezoo<0.1, and this is 0.",
        "what to do pip install 'declared-module>=2'; or set VAEZOO_DISABLE_PLUGINS=declares",
        "slow, of vaezoo-slow 1.0: ok slow loading it took 0.",
    ):
        assert text in words
    assert "vaezoo: warning" not in done.err  # the table says it


USE = """
import json, warnings
import vaezoo

warnings.simplefilter("ignore", vaezoo.PluginWarning)
found = {}
for name in vaezoo.list_variants():
    try:
        made = vaezoo.create(name, offered={"num_classes": 3})
        found[name] = "VAE" if isinstance(made, vaezoo.VAE) else str(made)
    except Exception as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        found[name] = f"{type(error).__name__}: {error} {notes}"
options = vaezoo.networks.MLP(hidden=(5,))
found["by options"] = type(vaezoo.create("vae", network=options)).__name__
found["told"] = vaezoo.describe("sound/vae").distribution
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def created(site: Site) -> dict[str, str]:
    """What ``create`` answers for each variant, in one process that ignores PluginWarnings."""
    return site.report(USE)  # type: ignore[no-any-return]


def test_everything_that_works_is_created_beside_all_that_is_broken(
    created: dict[str, str],
) -> None:
    for name in (*OWN, *THEIRS, "by options"):
        assert created[name] == "VAE", name
    assert created["told"] == "vaezoo-sound"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("targets/no-module", ["VaezooError", "No module named 'vaezoo_targets.absent'",
                               "pip install --force-reinstall vaezoo-targets"]),
        ("targets/no-attribute", ["VaezooError", "no attribute 'absent'",
                                  "pip install --upgrade vaezoo-targets"]),
        ("targets/no-vae", ["VaezooError", "returned str, not a vaezoo.VAE"]),
        ("targets/no-options", ["VaezooError", "no_options is no recipe"]),
        ("targets/buggy", ["AttributeError", "raised by the recipe of 'targets/buggy'"]),
        ("needy/absent", ["MissingRequirementError", "no-such-dist is not installed",
                          "pip install 'no-such-dist>=1.3'"]),
        ("needy/old", ["MissingRequirementError", "needs pluggy>=99 (pluggy 1.",
                       "is installed): pip install 'pluggy>=99'"]),
    ],
)  # fmt: skip
def test_a_target_that_fails_is_told_when_it_is_used(
    name: str, parts: list[str], created: dict[str, str]
) -> None:
    for part in parts:
        assert part in created[name]
    if name.startswith("targets"):
        assert "vaezoo-targets 1.0" in created[name]


def test_what_is_not_installed_is_listed_with_how_to_get_it(listed: Done) -> None:
    lines = {line.split()[0]: line for line in listed.out.splitlines()}
    assert lines["needy/absent"].endswith("(not installed: pip install 'no-such-dist>=1.3')")
    assert lines["needy/old"].endswith("(not installed: pip install 'pluggy>=99')")
    assert "not installed" not in lines["needy/met"]


def test_everything_that_works_is_trained_beside_all_that_is_broken(
    site: Site, tmp_path: Path
) -> None:
    import numpy as np

    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40, 1, 6, 5), dtype="float32"))
    first, second, wrong, buggy = site.lines(
        ["train", "vae", *TRAIN],
        ["train", "sound/vae", *TRAIN, "--model.scale", "3"],
        ["train", "raises/vae", *TRAIN],
        ["train", "targets/buggy", *TRAIN],
        cwd=tmp_path,
    )
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "warning" not in first.out
    assert (tmp_path / "runs/vae-x/model/model.safetensors").exists()
    assert (tmp_path / "runs/sound-vae-x/model/model.safetensors").exists()
    assert "unknown variant 'raises/vae'" in wrong.error
    assert "raises (broken)" in wrong.error
    assert buggy.code == 1
    assert "raised by the recipe of 'targets/buggy', of vaezoo-targets 1.0" in buggy.err


def test_the_kit_reports_what_a_plugin_prints_or_changes_as_it_is_imported(site: Site) -> None:
    found = site.report("""
        import json, warnings
        import vaezoo
        from vaezoo.testing import ConformanceError, check_variant

        warnings.simplefilter("ignore")
        found = {}
        for name in ("sound/vae", "loud/vae", "setter/vae"):
            try:
                check_variant(name, only=["import"])
            except ConformanceError as error:
                found[name] = str(error)
        print(json.dumps(found))
    """)
    assert {*found} == {"loud/vae", "setter/vae"}
    assert "vaezoo_loud prints nothing" in found["loud/vae"]
    assert "hello from the import" in found["loud/vae"]
    assert "changed: os.environ['SET_BY_IT']" in found["setter/vae"]


def test_an_interrupt_during_an_import_interrupts(tmp_path: Path) -> None:
    heard = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)"  # nohup and the like ignore it
    )
    init = f"import signal, time\n{heard}\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(30)\n"
    built = build([plugin("endless", init + sound("endless"))], tmp_path / "built")
    site = pip_install(tmp_path / "site", *built.values())
    start = time.monotonic()
    done = site.vaezoo("list")
    assert done.code == 130
    assert "interrupted" in done.err
    assert time.monotonic() - start < 20


def test_an_editable_install_works_and_twice_on_the_path_clashes_with_nothing(
    tmp_path: Path,
) -> None:
    """pip's own way from the project, into an environment of its own."""
    project = plugin("edited", sound("edited")).write(tmp_path)
    environment = tmp_path / "environment"
    run("-m", "venv", "--without-pip", environment)
    python = next(path for path in environment.glob("*/python*") if path.stem == "python")
    outside = [path for path in sys.path if path.endswith("site-packages")]
    site = Site(Path(outside[0]))
    done = site.python(
        "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--disable-pip-version-check", "--editable", project,
    )  # fmt: skip
    assert done.code == 0, done.err
    (project / "vaezoo_edited/__init__.py").write_text(
        sound("edited") + variant("edited/later", "vaezoo_edited.model:recipe")
    )
    copy = pip_install(tmp_path / "copy", project)  # the same distribution a second time
    for first in ([], [str(copy.path)]):
        paths = [*first, *filter(None, sys.path)]
        listed = subprocess.run(
            [python, "-m", "vaezoo.cli", "list", "edited/*"],
            env={"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert [line.split()[0] for line in listed.stdout.splitlines()] == [
            "edited/later",
            "edited/vae",
        ]
        assert not listed.stderr


def test_damaged_metadata_of_another_distribution_hide_nothing(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    site = pip_install(tmp_path, wheels["vaezoo-sound-1.0"], wheels["vaezoo-first-1.0"])
    (tmp_path / "vaezoo_first-1.0.dist-info/entry_points.txt").write_text("[vaezoo]\nno value\n")
    done = site.vaezoo("list", "sound/*")
    assert (done.code, done.out.split()[0]) == (0, "sound/vae")
    (tmp_path / "vaezoo_first-1.0.dist-info/entry_points.txt").write_text("[vaezoo]\nfirst = no\n")
    (tmp_path / "vaezoo_first-1.0.dist-info/METADATA").unlink()  # as of a broken uninstallation
    done = site.vaezoo("list", "sound/*")
    assert (done.code, done.out.split()[0]) == (0, "sound/vae")
    assert "the vaezoo plugin 'first' of unknown unknown was skipped" in done.err
