"""One installed plugin with a spec of every kind: in ``create``, ``describe`` and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mine_plugin import MINE
from plugin_projects import Done, Site, pip_install

pytestmark = pytest.mark.slow

RUN = "runs/mine-skewed-vae-mine-blobs"
TRAIN = [
    "train", "mine/skewed-vae", "--data", "mine/blobs", "--data.size", "8", "--model.skew", "0.7",
    "--model.network", "mine/dense", "--model.network.width", "9",
    "--model.prior", "mine/wide", "--model.prior.sigma", "1.5",
    "--model.likelihood", "mine/sharp", "--model.likelihood.sigma", "0.2",
    "--model.latent-dim", "2", "--steps", "3", "--batch-size", "4",
]  # fmt: skip
LINES = {
    "train": TRAIN,
    "eval": ["eval", RUN, "--metrics", "elbo", "mine/spread", "--json"],
    "eval-samples": ["eval", RUN, "--metrics", "mine/spread", "--samples", "3"],
    "sample": ["sample", RUN],
    "data": ["data", "mine/blobs", "--data.size", "7"],
    "list-data": ["data"],
    "list": ["list", "mine/*"],
    "help": ["train", "mine/skewed-vae", "--model.prior", "mine/wide", "--help"],
    "unknown": ["train", "mine/skewed-vae", "--data", "mine/blobs", "--model.prior.sigmo", "1"],
    "mistyped": ["train", "mine/skewed", "--data", "mine/blobs"],
    "mistyped-data": ["train", "vae", "--data", "mine/blob"],
    "owner": ["train", "vae", "--data", "mine/blobs", "--model.prior.sigma", "1"],
    "default-run": ["train", "vae", "--data", "mine/blobs", "--steps", "1", "--batch-size", "4"],
    **{name: ["describe", f"mine/{name}"]
       for name in ("skewed-vae", "dense", "wide", "sharp", "blobs", "spread")},
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Installed by pip from its project, as ``pip install .`` does it."""
    project = MINE.write(tmp_path_factory.mktemp("project"))
    return pip_install(tmp_path_factory.mktemp("site"), project)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def story(site: Site, folder: Path) -> dict[str, Done]:
    """What each of LINES did, in that order."""
    return dict(zip(LINES, site.lines(*LINES.values(), cwd=folder), strict=True))


def test_it_is_trained_with_parts_and_data_of_its_own(
    story: dict[str, Done], folder: Path
) -> None:
    assert story["train"].code == 0, story["train"].err
    assert "mine/blobs" in story["train"].out
    config = json.loads((folder / RUN / "config.json").read_text())["model"]
    assert config["options"] == {"skew": 0.7}
    assert config["parts"] == {
        "network": {"name": "mine/dense", "width": 9},
        "prior": {"name": "mine/wide", "sigma": 1.5},
        "likelihood": {"name": "mine/sharp", "sigma": 0.2},
    }
    assert config["shared"]["input_shape"] == [1, 8, 5]
    assert (folder / RUN / "samples/samples.png").exists()


def test_what_made_a_model_is_recorded_part_by_part(folder: Path, story: dict[str, Done]) -> None:
    mine = {"distribution": "vaezoo-mine", "version": "1.2"}
    config = json.loads((folder / RUN / "model/config.json").read_text())
    assert config["plugin"] == mine
    assert config["part_plugins"] == dict.fromkeys(("network", "likelihood", "prior"), mine)
    assert config["format"] == 1
    card = (folder / RUN / "model/README.md").read_text()
    assert "| prior's plugin | vaezoo-mine 1.2 |" in card
    plain = json.loads((folder / "runs/vae-mine-blobs/model/config.json").read_text())
    assert "part_plugins" not in plain  # all of it is vaezoo's own


def test_it_is_measured_with_its_metric(story: dict[str, Done]) -> None:
    assert story["eval"].code == 0, story["eval"].err
    figures = json.loads(story["eval"].out)
    assert figures["mine_spread"] > 0
    assert figures["data"] == "mine/blobs"
    assert "mine-spread" in story["eval-samples"].out
    assert story["sample"].code == 0, story["sample"].err


def test_everything_is_listed_and_described(story: dict[str, Done]) -> None:
    assert story["list"].out.split()[0] == "mine/skewed-vae"
    assert "mine/blobs" in story["list-data"].out
    assert "7x5" in story["data"].out
    for name, texts in {
        "skewed-vae": ("variant", "Mine 2026", "skew", "What the KL is multiplied by."),
        "dense": ("network", "width", "Of the hidden layer."),
        "wide": ("prior", "sigma", "2.0"),
        "sharp": ("likelihood", "sigma", "0.1"),
        "blobs": ("dataset", "size", "Pixels on a side."),
        "spread": ("metric", "samples", "How often it is measured."),
    }.items():
        assert story[name].code == 0, story[name].err
        for text in (*texts, "mine, of vaezoo-mine 1.2"):
            assert text in story[name].out
    assert "--model.prior.sigma" in story["help"].out


def test_mistakes_name_what_was_meant(story: dict[str, Done]) -> None:
    assert "Did you mean 'mine/skewed-vae'?" in story["mistyped"].error
    assert "Did you mean 'mine/blobs'?" in story["mistyped-data"].error
    assert "belongs to the prior mine/wide: name it" in story["owner"].error
    assert "--model.prior.sigmo" in story["unknown"].error


def test_python_takes_every_kind_by_name_and_by_options(site: Site) -> None:
    report = site.report("""
        import json, torch, vaezoo
        from vaezoo_mine.parts import Dense, Wide

        model = vaezoo.create(
            "vae", input_shape=(1, 8, 5), latent_dim=2, network=Dense(width=3),
            prior=Wide(sigma=3), likelihood="mine/sharp",
        )
        history = vaezoo.fit(
            model, {"name": "mine/blobs", "size": 8}, steps=2, batch_size=4, progress=False
        )
        figures = vaezoo.evaluate(model, {"name": "mine/blobs", "size": 8}, "mine/spread")
        print(json.dumps([model.config.parts, model.config.plugin["distribution"],
                          dict(model.config.part_plugins), figures["mine_spread"] > 0]))
    """)
    parts, distribution, plugins, measured = report
    assert parts["network"] == {"name": "mine/dense", "width": 3}
    assert parts["prior"] == {"name": "mine/wide", "sigma": 3.0}
    assert distribution == "vaezoo"
    assert {*plugins} == {"network", "prior", "likelihood"}
    assert measured
