"""What docs/writing-a-plugin.md and docs/plugin-components.md show, works.

Their files are written down as a package and installed; the examples are checked, trained, saved
and resumed, the snippets and commands are run, and what the tables say is looked up.
"""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import StudentT

import vaezoo
from vaezoo.cli import main
from vaezoo.testing import CHECKS, check_variant

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
COMPONENTS = (ROOT / "docs" / "plugin-components.md").read_text(encoding="utf-8")

EXAMPLES = {  # what each is checked at
    "mine/renyi-vae": {},
    "mine/skew-vae": {},
    "mine/low-rank-vae": {},
    "mine/matching-vae": {},
    "mine/codebook-vae": {},
    "mine/two-level-vae": {"lower_dim": 6},
    "mine/two-groups-vae": {"side_dim": 3},
    "vae": {"prior": "mine/sparse"},
}
ESSENTIAL = ["create", "options", "trace", "gradients", "kl", "regularizer", "batch"]
ESSENTIAL += ["embedding", "samples", "saving", "phases"]
SHAPE = (1, 8, 12)


def blocks(language: str, text: str = GUIDE + COMPONENTS) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def files() -> dict[str, str]:
    """What the pages say is in which file, by path; later pieces of a file join the first."""
    found: dict[str, str] = {}
    for language in ("python", "toml"):
        for code in blocks(language):
            first, _, rest = code.partition("\n")
            if named := re.match(r"# (\S+\.(?:py|toml))", first):
                found[named[1]] = found.get(named[1], "") + rest
    return found


def package() -> dict[str, str]:
    return {path: text for path, text in files().items() if path.startswith("vaezoo_mine/")}


def snippets(text: str) -> list[str]:
    """Those that are no file."""
    return [code for code in blocks("python", text) if not re.match(r"# \S+\.py", code)]


@pytest.fixture
def mine(install_plugin: Callable[..., Path]) -> Path:
    """The package of the pages, installed."""
    return install_plugin(distribution="vaezoo-mine", entry_point="mine", code=package())


def created(name: str, options: Mapping[str, Any], shape: tuple[int, ...] = SHAPE) -> vaezoo.VAE:
    torch.manual_seed(0)
    model: vaezoo.VAE = vaezoo.create(name, input_shape=shape, latent_dim=4, **options)
    return model


def images(n: int = 32) -> Tensor:
    coarse = torch.rand(n, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
    return torch.nn.functional.interpolate(coarse, size=SHAPE[1:])


def trained(model: vaezoo.VAE, steps: int, out: Path | None = None, **options: Any) -> None:
    settings = {"batch_size": 16, "validation": 8, "learning_rate": 3e-3, "execution": "eager"}
    settings |= {"device": "cpu", "progress": False, "out": out}
    vaezoo.fit(model, images(), steps=steps, **(settings | options))


# The examples.


def test_every_example_is_tested(mine: Path) -> None:
    brought = set(vaezoo.list_variants("mine/*"))
    assert brought == set(EXAMPLES) - {"vae"}
    assert "prior: mine/sparse" in _printed_plugins()


def _printed_plugins() -> str:
    plugin = next(p for p in vaezoo.registry.lookup.plugins() if p.name == "mine")
    assert plugin.status == "ok", plugin.error
    return "; ".join(f"{spec.kind}: {spec.name}" for spec in plugin.specs)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_keeps_the_essential_rules(mine: Path, name: str) -> None:
    assert check_variant(name, only=ESSENTIAL, **EXAMPLES[name]).passed == [
        check for check in CHECKS if check in ESSENTIAL
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_learns_and_is_saved_and_loaded(mine: Path, name: str, tmp_path: Path) -> None:
    model, x = created(name, EXAMPLES[name]), images()
    before = vaezoo.evaluate(model, x)["elbo"]
    trained(model, 60, validation=0)
    assert vaezoo.evaluate(model, x)["elbo"] > 0.8 * before  # both are negative
    assert model.embed(x).shape[0] == model.reconstruct(x).shape[0] == len(x)
    assert model.sample(3, seed=0).shape == (3, *SHAPE)
    vaezoo.save(model, tmp_path / "saved")
    loaded = vaezoo.load(tmp_path / "saved")
    assert torch.equal(loaded.embed(x), model.embed(x))
    assert torch.equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


@pytest.mark.parametrize("name", ["mine/matching-vae", "mine/codebook-vae", "mine/two-level-vae"])
def test_a_run_of_an_example_is_resumed_to_the_same_weights(
    mine: Path, name: str, tmp_path: Path
) -> None:
    straight, halted = (created(name, EXAMPLES[name]) for _ in range(2))
    trained(straight, 6, tmp_path / "straight", checkpoint_every=3)
    trained(halted, 3, tmp_path / "halted", checkpoint_every=3)
    resumed = created(name, EXAMPLES[name])
    trained(resumed, 6, tmp_path / "halted", checkpoint_every=3, resume=True)
    for key, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    assert (tmp_path / "halted" / "samples" / "samples.png").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mine/renyi-vae", {"prior": "mixture", "network": "conv"}),
        ("mine/renyi-vae", {"prior": "class-normal", "num_classes": 3}),
        ("mine/low-rank-vae", {"prior": "mixture", "network": "conv"}),
        ("mine/matching-vae", {"prior": "mixture", "network": "conv"}),
        ("mine/two-level-vae", {"prior": "mixture", "network": "conv"}),
        ("mine/two-level-vae", {"prior": "class-normal", "num_classes": 3}),
        ("mine/two-groups-vae", {"prior": "mixture", "network": "conv"}),
        ("mine/two-groups-vae", {"prior": "class-normal", "num_classes": 3}),
        ("mine/codebook-vae", {"network": "conv"}),
        ("mine/skew-vae", {"network": "conv"}),
    ],
    ids=str,
)
def test_parts_combine(mine: Path, name: str, options: dict[str, Any]) -> None:
    model, x = created(name, options, (1, 16, 24)), torch.rand(8, 1, 16, 24).round()
    y = torch.arange(8) % 3 if "num_classes" in options else None
    data = x if y is None else (x, y)
    vaezoo.fit(model, data, steps=2, validation=0, execution="eager", progress=False)
    assert model.sample(8, y).shape == x.shape
    assert model.elbo(x, y).isfinite().all()


def test_parts_that_an_example_cannot_use_are_refused(mine: Path) -> None:
    with pytest.raises(vaezoo.OptionError, match="makes no use of prior"):
        created("mine/codebook-vae", {"prior": "mixture"})
    with pytest.raises(vaezoo.OptionError, match="skew-vae needs a factorised normal"):
        trained(created("mine/skew-vae", {"prior": "mixture"}), 1)
    with pytest.raises(vaezoo.OptionError, match=r"alpha must lie in \[0, 1\), not 1"):
        created("mine/renyi-vae", {"alpha": 1.0})


# Their formulas.


def test_the_renyi_bound_of_order_0_is_importance_weighted_and_near_1_the_elbo(mine: Path) -> None:
    model = created("mine/renyi-vae", {})
    trace = model(images(), samples=7)
    log_w = trace.log_w

    def bound(alpha: float) -> Tensor:
        return -model.objective.score(trace, {"alpha": torch.tensor(alpha)}).loss

    assert torch.allclose(bound(0.0), log_w.logsumexp(0) - torch.tensor(7.0).log(), atol=1e-3)
    assert torch.allclose(bound(0.999), log_w.mean(0), atol=0.2)
    assert (bound(0.2) >= bound(0.6)).all()


def test_the_skewed_divergence_ends_in_both_kls(mine: Path) -> None:
    model = created("mine/skew-vae", {}).double()
    site = model(images().double()).sites[0]
    trace = vaezoo.Trace(images(), None, (site,))  # type: ignore[arg-type]
    for alpha, ends in ((0.0, (site.q, site.p)), (1.0, (site.p, site.q))):
        weights = {"alpha": torch.tensor(alpha, dtype=torch.float64)}
        found = model.objective.regularizer(trace, weights)  # type: ignore[attr-defined]
        assert torch.allclose(found, torch.distributions.kl_divergence(*ends))


def test_the_low_rank_kl_is_that_of_the_full_covariance(mine: Path) -> None:
    created("mine/low-rank-vae", {})  # registers the formula
    torch.manual_seed(0)
    mean, W = torch.randn(3, 4).double(), torch.randn(3, 4, 2).double()
    variance = torch.rand(3, 4).double() + 0.1
    q = torch.distributions.LowRankMultivariateNormal(mean, W, variance)
    each = torch.distributions.Normal(torch.randn(4).double(), torch.rand(4).double() + 0.5)
    p = torch.distributions.Independent(each, 1)
    whole = torch.distributions.MultivariateNormal(mean, q.covariance_matrix)
    same = torch.distributions.MultivariateNormal(each.mean, each.variance.diag())
    expected = torch.distributions.kl_divergence(whole, same)
    site = vaezoo.Site(q, p, q.rsample((2,)))
    assert site.kl_kind == "analytic"
    assert torch.allclose(site.kl, expected.expand(2, 3))


def test_the_priors_kl_is_analytic_and_the_codebooks_a_constant(mine: Path) -> None:
    sparse = created("vae", {"prior": "mine/sparse"})(images()).sites[0]
    assert sparse.kl_kind == "analytic"
    coded = created("mine/codebook-vae", {"codes": 10})(images(), samples=2)
    assert torch.allclose(coded.kl, torch.tensor(10.0).log().expand(2, 32))


def test_the_sech_density_is_one_in_all(mine: Path) -> None:
    head = vaezoo.create("vae", input_shape=(1,), likelihood="mine/sech").decoder.head
    with torch.no_grad():
        head.log_scale.fill_(-0.7)
        grid = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
        density = head.double()(torch.zeros(1, dtype=torch.float64)).log_prob(grid[:, None]).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-6)


def test_a_network_of_the_page_takes_labels(mine: Path) -> None:
    model = vaezoo.create("cvae", input_shape=SHAPE, num_classes=3, network="mine/wide")
    assert model.sample(3, torch.arange(3)).shape == (3, *SHAPE)


# The pages.


@pytest.mark.parametrize("text", [GUIDE, COMPONENTS], ids=["guide", "components"])
def test_the_snippets_run_in_their_order(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in snippets(text):
        quick = code.replace("steps=10", "steps=2, execution='eager', progress=False")
        exec(compile(quick, "snippet", "exec"), names)
        for line in code.splitlines():
            if found := re.fullmatch(r"(\w.*\.shape)  # (\([\d, ]+\)).*", line):
                assert eval(found[1], names) == torch.Size(eval(found[2])), line
    if text == COMPONENTS:
        assert set(names["figures"]) >= {"elbo", "active_units"}


def test_the_commands_run(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line for code in blocks("bash") for line in code.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("vaezoo ")]
    assert {command[0] for command in commands} == {"describe", "train", "check"}
    short = ["--steps", "2", "--batch-size", "4", "--validate-every", "2", "--data.test", "20"]
    for command in commands:
        if command[0] == "train":
            command += [*short, "--data.validation", "20", "--execution", "eager"]
        if command[0] != "check":  # which the whole kit's test runs
            assert main(command) == 0, command
    assert (tmp_path / "runs" / "renyi" / "samples" / "samples.png").exists()


def test_the_test_file_holds_every_variant_against_every_check(mine: Path) -> None:
    names: dict[str, Any] = {}
    exec(files()["tests/test_variants.py"], names)
    (mark,) = names["test_variant"].pytestmark
    ids = {parameter.id: parameter.values[0] for parameter in mark.args[1]}
    variants = set(EXAMPLES) - {"vae"}
    assert set(ids) == {f"{name}-{check}" for name in variants for check in CHECKS}
    names["test_variant"](ids["mine/renyi-vae-create"])


def test_commands_for_one_group_of_latents_say_so(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vaezoo.save(created("mine/two-level-vae", {}, (1, 64, 64)), tmp_path / "saved")
    out = str(tmp_path / "codes.csv")
    assert main(["traverse", str(tmp_path / "saved"), "--data", "sprites"]) == 2
    assert "traverse is for a model of one group of latents" in capsys.readouterr().err
    assert main(["encode", str(tmp_path / "saved"), "sprites", "--out", out]) == 2
    assert "encode is for a model of one group of latents" in capsys.readouterr().err


def test_the_table_of_rules_names_every_check() -> None:
    table = GUIDE.split("## Rules")[1].split("## Troubleshooting")[0]
    cells = re.findall(r"\| ([^|]*) \|$", table, flags=re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([\w]+)`", cell)]
    assert sorted(named) == sorted(CHECKS)


def test_messages_to_look_for_are_what_vaezoo_says() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("vaezoo/**/*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # one text over several lines
    table = GUIDE.split("## Troubleshooting")[1].split("## Before")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(messages) > 12
    for message in messages:
        assert message in source, message


def test_the_tables_name_what_there_is(mine: Path) -> None:
    trace = created("vae", {})(images())
    idea = GUIDE.split("## The one idea")[1].split("## Recipes")[0]
    of_trace, of_site = re.findall(r"\| of a (?:Trace|Site) .*?\n\n", idea, flags=re.DOTALL)
    for table, owner in ((of_trace, trace), (of_site, trace.sites[0])):
        cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
        for name in re.findall(r"`(\w+)`", " ".join(cells)):
            assert hasattr(owner, name), name
    parts = GUIDE.split("## Parts")[1].split("## Rules")[0]
    for name in re.findall(r"^\| `(\w+)[`(]", parts, flags=re.MULTILINE):
        assert hasattr(vaezoo.Parts, name), name


# Packaging.


def test_another_default_or_option_leaves_saved_weights_loadable_a_lost_option_does_not(
    mine: Path, tmp_path: Path
) -> None:
    vaezoo.save(created("mine/renyi-vae", {}), tmp_path / "saved")
    module = sys.modules["vaezoo_mine.renyi"]
    file = mine / "vaezoo_mine" / "renyi.py"
    source = file.read_text(encoding="utf-8")

    def changed(before: str, after: str) -> None:
        assert before in source
        exec(compile(source.replace(before, after), str(file), "exec"), vars(module))

    changed("alpha: float = 0.5", "extra: int = 1\n    alpha: float = 0.25")
    model = vaezoo.load(tmp_path / "saved")
    assert model.config is not None
    assert (model.config.options["alpha"], model.config.options["extra"]) == (0.5, 1)
    changed("    samples: int = 5", "    draws: int = 5")
    with pytest.raises(vaezoo.CheckpointError, match="has no option 'samples'"):
        vaezoo.load(tmp_path / "saved")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "vaezoo-mine"
    for path, text in {**files(), "README.md": "Mine.\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_package_builds_with_its_entry_point(project: Path) -> None:
    config = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["project"]["entry-points"]["vaezoo"] == {"mine": "vaezoo_mine"}
    build_command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(project)]
    done = subprocess.run(build_command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "mine = vaezoo_mine" in archive.read(entry_points).decode()
    assert set(package()) <= set(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_the_whole_kit(mine: Path, name: str) -> None:
    rest = [check for check in CHECKS if check not in ESSENTIAL]
    assert check_variant(name, only=rest, **EXAMPLES[name]).passed == rest


# What the pages say beside their code.


def test_a_phase_has_the_arguments_and_defaults_of_the_table() -> None:
    table = GUIDE.split("`Phase(name, loss, parameters)`")[1].split("- Phases run")[0]
    said = dict(re.findall(r"\| `(\w+)` \| `?([\w.]+)`? \|", table))
    fields = {f.name: str(f.default) for f in dataclasses.fields(vaezoo.Phase)}
    assert said == {name: fields[name] for name in ("every", "rate", "compile")}
    assert set(fields) == {*said, "name", "loss", "parameters"}


def test_parts_of_a_model_can_take_turns() -> None:
    class Turns(vaezoo.ELBO):
        def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
            others = [*model.decoder.parameters(), *model.prior.parameters()]
            return (
                vaezoo.Phase("encoder", self.loss, model.encoder.parameters()),
                vaezoo.Phase("others", self.loss, others, every=2),
            )

    sound = created("vae", {})
    model = vaezoo.VAE(sound.encoder, sound.decoder, sound.prior, objective=Turns())
    before = {name: value.clone() for name, value in model.named_parameters()}
    trained(model, 1, validation=0)
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())


def test_a_schedule_is_any_function_of_the_step_and_is_tested_as_the_page_says() -> None:
    objective = vaezoo.ELBO(lambda step: torch.exp(-step / 1000))
    assert objective.weights(torch.tensor(500))["beta"].item() == pytest.approx(math.exp(-0.5))


def test_the_student_t_of_the_page_asks_no_device_for_values() -> None:
    (code,) = (code for code in blocks("python") if "class Heavy" in code)
    names: dict[str, Any] = {}
    exec(code, names)
    arguments = torch.tensor([3.0, 5.0]), torch.zeros(2), torch.ones(2)
    with pytest.raises(RuntimeError, match="item"):
        StudentT(*(a.to("meta") for a in arguments), validate_args=False)
    names["Heavy"](*(a.to("meta") for a in arguments)).rsample((4,))
    ours, theirs = names["Heavy"](*arguments), StudentT(*arguments)
    x = torch.randn(7, 2)
    assert torch.equal(ours.log_prob(x), theirs.log_prob(x))
    torch.manual_seed(0)
    drawn = ours.rsample((5,))
    torch.manual_seed(0)
    assert torch.equal(drawn, theirs.rsample((5,)))
