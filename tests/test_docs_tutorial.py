"""What docs/tutorial.md says, in both languages, is so.

Its snippets are run on small stand-ins for MNIST's files, with a few steps; its formulas are
compared with torch's, its figures with the result file of the script that runs the page.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from small_mnist import TEST, small_mnist
from torch.nn import functional

from vaezoo.cli import main

ROOT = Path(__file__).parents[1]
ENGLISH = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs" / "tutorial.zh.md").read_text(encoding="utf-8")
RESULTS = json.loads(
    (ROOT / "benchmarks" / "reproduce" / "results" / "tutorial.json").read_text(encoding="utf-8")
)
FIGURES = RESULTS["figures"]
FEW = ("knn_100", "linear_100")
LANGUAGES = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["english", "chinese"])
SHORTER = [("STEPS = 4000", "STEPS = 2"), ("SAMPLES = 1000", "SAMPLES = 10")]


def snippets(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def prose(page: str) -> str:
    """Without snippets and formulas, where numbers are constants, and without addresses."""
    page = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    page = re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$|`[^`\n]*`", "", page, flags=re.DOTALL)
    return re.sub(r"\[[^\]]*\]\(http[^)]*\)", "", page)


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_mnist(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)


def shorter(code: str) -> str:
    for long, short in SHORTER:
        code = code.replace(long, short)
    return code


def test_the_snippets_run_in_their_order_and_make_the_pictures(mnist: None) -> None:
    pytest.importorskip("sklearn")
    program = "\n".join(snippets(ENGLISH))
    assert all(program.count(long) == 1 for long, _ in SHORTER)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    for code in snippets(ENGLISH):
        exec(compile(shorter(code), "tutorial.md", "exec"), names)

    assert names["evidence"].item() == pytest.approx(-1.430510, abs=1e-5)
    assert names["elbo"].item() == pytest.approx(-1.808937, abs=1e-5)
    assert names["gap"].item() == pytest.approx(0.378426, abs=1e-5)
    mean, logvar = torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.0, -2.0, 1.0]])
    assert names["kl_to_prior"](mean, logvar).item() == pytest.approx(3.551809, abs=1e-5)

    assert names["codes"].shape == (TEST, 2)
    assert names["threes"].shape == (8, 1, 28, 28)
    assert names["same"]["split"] == "test"
    assert names["same"]["examples"] == TEST
    assert "elbo" not in names["autoencoder"]
    assert names["y_train"][names["labelled"](10, 0)].bincount().tolist() == [10] * 10
    assert {*names["accuracy"]} == {*FIGURES["accuracy"]}
    for image in re.findall(r"\(images/(tutorial-.*?)\)", ENGLISH):
        assert Path(image).exists(), image
    assert {path.name for path in Path().glob("*.png")} == {
        path.name for path in (ROOT / "docs" / "images").glob("tutorial-*.png")
    }


def test_the_program_by_hand_and_vaezoo_compute_the_same(mnist: None) -> None:
    """At the same weights and noise, up to rounding; in float64, so that nothing hides in it."""
    names: dict[str, Any] = {}
    for code in snippets(ENGLISH):
        if "from vaezoo import pictures" in code:
            break
        exec(compile(shorter(code), "tutorial.md", "exec"), names)
    x = names["x_test"].double()
    torch.manual_seed(1)
    trace = names["adopted"].double()(x)
    z, hand = trace.sites[0].z[0], names["hand"].double()
    mean, logvar = hand.encoder(x)
    noise = (z - mean) / torch.exp(logvar / 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda _: noise)
        log_px, kl = names["elbo_terms"](hand, x)
        loss = names["loss"](hand, x)
    torch.testing.assert_close(log_px, trace.log_px[0])
    torch.testing.assert_close(kl, trace.kl[0])
    torch.testing.assert_close(-loss, trace.elbo.mean())
    draws = (mean[0], logvar[0])
    drawn = names["reparametrize"](*(each.expand(20_000, 2) for each in draws))
    torch.testing.assert_close(drawn.var(0), logvar[0].exp(), rtol=0.05, atol=0.0)


def test_both_languages_show_the_same_code_pictures_and_structure() -> None:
    for language in ("python", "bash"):
        mine, others = (snippets(page, language) for page in (ENGLISH, CHINESE))
        assert len(mine) == len(others) > 0
        for code, other in zip(mine, others, strict=True):
            assert _bare(code, language) == _bare(other, language)
    for pattern in (r"\((images/.*?)\)", r"^(#+) ", r"\$\$(.*?)\$\$", r"\((https?:.*?)\)"):
        found = [re.findall(pattern, _outside(page), flags=re.MULTILINE) for page in PAGES]
        assert found[0] == found[1], pattern
    assert sorted(set(_numbers(ENGLISH))) == sorted(set(_numbers(CHINESE)))


PAGES = (ENGLISH, CHINESE)


def _bare(code: str, language: str) -> str:
    """Without comments and docstrings, which are translated."""
    if language != "python":
        return code
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _outside(page: str) -> str:
    """Without snippets."""
    return re.sub(r"```.*?```", "", page, flags=re.DOTALL)


def _numbers(page: str) -> list[str]:
    """The decimal fractions of the prose."""
    return re.findall(r"\d+\.\d+", prose(page))


# The figures.


def quoted() -> list[str]:
    """What the pages quote of the result file: rows of tables, and numbers in the text."""
    rows = [_likelihoods(FIGURES[name]) for name in ("by_hand", "measured", "same", "wider")]
    rows += [f"| {FIGURES['estimates'][name]:.1f} |" for name in ("naive", "elbo", "importance")]
    for name in ("pixels", "vae_2", "vae_20", "ae"):
        each = FIGURES["accuracy"][name]
        cells = [f"{100 * each[key]:.1f}" for key in ("knn", "linear")]
        for key in ("knn_100", "linear_100"):
            percent = [100 * value for value in each[key]]
            cells.append(f"{statistics.mean(percent):.1f} ± {statistics.stdev(percent):.1f}")
        rows.append(f"| {' | '.join(cells)} |")
    rows.append(f"{FIGURES['at_mean']:.1f}")
    rows += [f"{FIGURES[name]['reconstruction']:.1f}" for name in ("autoencoder", "wider")]
    return rows


def _likelihoods(figures: dict[str, float]) -> str:
    error = figures.get("error", figures.get("elbo_standard_error"))
    return (
        f"| {figures['elbo']:.1f} ± {error:.1f} | {figures['reconstruction']:.1f} "
        f"| {figures['kl']:.1f} |"
    )


@LANGUAGES
def test_the_figures_are_those_of_the_result_file(page: str) -> None:
    for figure in quoted():
        assert figure in page, figure


@LANGUAGES
def test_no_other_figures_are_in_the_text(page: str) -> None:
    """Each decimal fraction is a measured figure, or one that is named here."""
    published = {"96.7"}  # M1+M2 with 100 labels, Kingma et al. 2014
    settings = {"0.5", "0.73", "0.1"}  # a sigmoid's values in [0, 1], a beta
    measured = set(re.findall(r"\d+\.\d+", " ".join(quoted())))
    assert set(_numbers(page)) <= measured | published | settings


def test_the_page_says_what_its_figures_show() -> None:
    by_hand, measured, same = (FIGURES[name] for name in ("by_hand", "measured", "same"))
    assert abs(by_hand["elbo"] - measured["elbo"]) < 0.1  # one draw or another of z
    assert 3.5 < same["elbo"] - by_hand["elbo"] < 4.5
    assert FIGURES["wider"]["elbo"] > same["elbo"] + 20
    assert FIGURES["at_mean"] > FIGURES["wider"]["elbo"] + 3
    estimates = FIGURES["estimates"]
    assert estimates["naive"] + 30 < estimates["elbo"] < estimates["importance"]
    assert FIGURES["autoencoder"]["reconstruction"] > FIGURES["wider"]["reconstruction"]
    assert RESULTS["data"]["splits"]["train"]["size"] == 50_000
    assert f"STEPS = {RESULTS['settings']['steps']}" in ENGLISH
    assert f"SAMPLES = {RESULTS['settings']['samples']}" in ENGLISH


def test_the_page_says_what_the_accuracies_show() -> None:
    pixels, two, vae, ae = (FIGURES["accuracy"][n] for n in ("pixels", "vae_2", "vae_20", "ae"))
    assert vae["knn"] > max(0.96, pixels["knn"])
    assert vae["linear"] < pixels["linear"]
    for few in FEW:
        assert statistics.mean(ae[few]) > statistics.mean(vae[few]) + 0.03
    means = [[statistics.mean(each[few]) for each in (pixels, vae)] for few in FEW]
    spreads = [max(statistics.stdev(each[few]) for each in (pixels, vae)) for few in FEW]
    assert abs(means[0][0] - means[0][1]) < spreads[0] / 2
    assert means[1][0] - means[1][1] > spreads[1]
    assert abs(ae["knn"] - vae["knn"]) < 0.004
    assert ae["linear"] > vae["linear"]
    assert two["knn"] < 0.8


# Single statements.


def test_a_sigmoid_before_the_cross_entropy_costs_what_the_text_says() -> None:
    logit, black = torch.tensor(20.0), torch.tensor(0.0)
    assert functional.binary_cross_entropy(logit.sigmoid(), black).item() == 100
    exact = functional.binary_cross_entropy_with_logits(logit, black).item()
    assert exact == pytest.approx(20)
    low, high = torch.tensor([0.0, 1.0]).sigmoid().tolist()
    assert (low, round(high, 2)) == (0.5, 0.73)


def test_the_pictures_are_small() -> None:
    paths = list((ROOT / "docs" / "images").glob("tutorial-*.png"))
    assert paths
    for path in paths:
        assert path.stat().st_size < 150_000, path.name
        Image.open(path).verify()


@LANGUAGES
def test_formulas_are_written_so_that_github_shows_them(page: str) -> None:
    """A $ opens after a space or an ASCII bracket; Markdown eats a backslash before a sign."""
    formulas = re.findall(r"^\$\$(.*)\$\$$", page, flags=re.MULTILINE)
    assert 2 * len(formulas) == page.count("$$")
    for line in _outside(page).splitlines():
        places = [match.start() for match in re.finditer(r"(?<!\$)\$(?!\$)", line)]
        assert len(places) % 2 == 0, line
        for opening, closing in zip(places[::2], places[1::2], strict=True):
            assert opening == 0 or line[opening - 1] in " (|", line
            assert not line[closing + 1 : closing + 2].isalnum(), line
            formulas.append(line[opening + 1 : closing])
    for formula in formulas:
        assert formula == formula.strip()
        assert not re.search(r"\\[^a-zA-Z]", formula), formula


@LANGUAGES
def test_the_headings_that_are_linked_exist(page: str) -> None:
    anchors = {_anchor(title) for title in re.findall(r"^#+ (.*)$", _outside(page), re.MULTILINE)}
    for target in re.findall(r"\]\(#([^)]+)\)", page):
        assert target in anchors, target


def _anchor(title: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def test_the_commands_run(mnist: None) -> None:
    for code in snippets(ENGLISH, "bash"):
        for line in code.splitlines():
            command = line.split("--epochs")[0].split()[1:]
            assert main([*command, "--steps", "2", "--batch-size", "16"]) == 0, line
