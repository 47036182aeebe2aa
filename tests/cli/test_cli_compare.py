"""``vaezoo compare``: the page, what it says of runs that are not alike, and mistakes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "img", "wbr"}
FEW = ["runs", "--pictures", "samples"]
DOCS = Path(__file__).parents[2] / "docs"


class Page(HTMLParser):
    """A page's elements and text; fails where they are not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text, self.rows = [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def row(self, title):
        """The cells of the first row of that title."""
        return next([c.strip() for c in row[1:]] for row in self.rows if row[0].strip() == title)


def read(path="compare.html"):
    text = Path(path).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>\n<html")
    return Page(text)


@pytest.fixture
def two(trained, tmp_path):
    """Copies of two finished runs, of a vae and of a cvae."""
    for variant, run in trained.items():
        shutil.copytree(run, tmp_path / "runs" / variant)
    return tmp_path / "runs"


def rewrite(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_page_shows_figures_options_curves_and_pictures(vaezoo, two):
    result = vaezoo("compare", "runs/vae", "runs/cvae")
    assert (result.code, result.out, result.err) == (0, "compare.html\n", "")
    page = read()
    figures = [json.loads((two / name / "figures.json").read_text()) for name in ("vae", "cvae")]
    cells = page.row("ELBO nats ↑")
    for cell, made in zip(cells, figures, strict=True):
        value, error = cell.split(" ± ")
        assert float(value) == pytest.approx(made["elbo"], abs=0.05)
        assert float(error.split()[0]) == pytest.approx(made["elbo_standard_error"], rel=0.06)
    assert page.row("data") == ["tiny"]
    assert page.row("examples") == ["16"]
    assert page.row("binarization") == ["dynamic"]
    assert page.row("likelihood p(x|z)") == ["bernoulli"]
    assert page.row("variant") == ["vae", "cvae"]
    assert page.row("model.latent_dim") == ["2"]  # of all options, since it is common
    assert page.row("steps") == ["3"]
    pictures = [image["alt"].partition(":")[0] for image in page.all("img")]
    expected = {
        f"{name.capitalize()} of {run}"
        for run in ("vae", "cvae")
        for name in ("reconstructions", "samples", "traversals", "interpolations", "codes")
    }
    assert expected <= {*pictures}
    assert not any("raining" in alt for alt in pictures)  # one chart of all instead
    charts = [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"]
    assert [chart.partition(" (")[0] for chart in charts] == [
        "ELBO", "ELBO over time", "Reconstruction", "KL to the prior",
    ]  # fmt: skip
    assert all(chart.endswith("vae, cvae") for chart in charts)
    assert "cannot all be compared" not in page.text
    assert "vaezoo compare runs/vae runs/cvae" in page.text


def test_the_page_needs_nothing_else(vaezoo, two):
    assert vaezoo("compare", "runs").code == 0
    text = Path("compare.html").read_text()
    assert not re.search(r"https?:|url\(|@import", text)
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert attributes.get("href", "#figures").removeprefix("#") in ids
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = (m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy
    assert all(image["alt"] and image["width"] for image in page.all("img"))
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    assert max(Counter(a["id"] for _, a in page.elements if "id" in a).values()) == 1
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_equal_runs_make_equal_bytes(vaezoo, two):
    line = ["compare", *FEW, "--overwrite"]
    assert vaezoo(*line).code == 0
    before = Path("compare.html").read_bytes()
    assert vaezoo(*line).code == 0
    assert Path("compare.html").read_bytes() == before


def test_what_a_run_is_called_is_no_html(vaezoo, two):
    evil = "<script>alert(1)</script> & 'x'"
    folder = two / evil.replace("/", "|")
    shutil.move(two / "vae", folder)
    rewrite(folder / "figures.json", lambda f: f.update(warnings=["<img src=x>"], data="<b>"))
    shutil.copy(folder / "samples" / "samples.png", folder / "samples" / 'a"<i>.png')
    assert vaezoo("compare", *FEW, 'a"<i>').code == 0
    page = read()
    assert not page.all("script")
    assert folder.name in page.text
    assert "<img src=x>" in page.text
    assert any('A"<i>' in image["alt"] for image in page.all("img"))
    assert all(image["src"].startswith("data:") for image in page.all("img"))


def test_runs_measured_otherwise_are_shown_with_a_notice(vaezoo, two):
    rewrite(two / "cvae" / "figures.json", lambda f: f.update(binarization="static", elbo=-1.0))
    assert vaezoo("compare", *FEW).code == 0
    page = read()
    assert "These nats cannot all be compared" in page.text
    assert "They differ in binarization: static (cvae); dynamic (vae)." in page.text
    assert page.row("nats compare within") == ["A", "B"]
    assert "best" not in " ".join(page.row("ELBO nats ↑"))


def test_an_unfinished_run_is_shown_as_far_as_it_is(vaezoo, two):
    run = two / "vae"
    (run / "figures.json").unlink()
    shutil.rmtree(run / "samples")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join(lines[:-2]) + '\n{"split": "tr')
    assert vaezoo("compare", *FEW).code == 0
    page = read()
    step = json.loads(lines[-3])["step"]
    assert f"vae was interrupted, at step {step} of 3." in page.text
    assert page.row("split") == ["test", "validation"]
    assert page.row("state") == ["finished", "interrupted"]
    assert "none was drawn" in page.text
    best = max(r["elbo"] for r in map(json.loads, lines[:-2]) if r["split"] == "validation")
    assert float(page.row("ELBO nats ↑")[1]) == pytest.approx(best, abs=0.01)


@pytest.mark.parametrize("text", ["{", "[1]", '{"elbo": 1.0}'])
def test_damaged_figures_are_told_and_the_rest_is_shown(vaezoo, two, text):
    (two / "vae" / "figures.json").write_text(text)
    (two / "vae" / "samples" / "samples.png").write_bytes(b"no picture")
    (two / "vae" / "model" / "model.safetensors").write_bytes(b"\xff" * 20)
    assert vaezoo("compare", *FEW).code == 0
    page = read()
    assert "vae: its figures.json" in page.text
    assert "cannot be read" in page.text
    assert page.row("ELBO nats ↑")[1] == "–"
    assert page.row("numbers in the saved model")[1] == "–"


def test_a_damaged_run_is_refused_by_name_and_left_out_of_a_folder(vaezoo, two):
    shutil.copytree(two / "vae", two / "broken")
    (two / "broken" / "config.json").write_text("{")
    assert "config.json cannot be read" in vaezoo("compare", "runs/vae", "runs/broken").error
    result = vaezoo("compare", *FEW)
    assert result.code == 0
    assert "warning: runs/broken is left out: " in result.err
    assert "Comparison of 2 runs" in read().text


def test_warnings_of_runs_are_on_the_page(vaezoo, two):
    rewrite(two / "vae" / "figures.json", lambda f: f.update(warnings=["the posterior collapsed"]))
    assert vaezoo("compare", *FEW).code == 0
    assert "vae ended with a warning" in read().text
    assert "the posterior collapsed" in read().text


def test_only_the_pictures_that_are_named_are_shown(vaezoo, two):
    assert vaezoo("compare", "runs", "--pictures", "samples", "kl").code == 0
    assert len(read().all("img")) == 4
    assert vaezoo("compare", "runs", "--out", "none.html", "--pictures").code == 0
    assert not read("none.html").all("img")
    assert Path("none.html").stat().st_size < 100_000
    error = vaezoo("compare", "runs", "--out", "x.html", "--pictures", "sample").error
    assert "Did you mean 'samples'?" in error


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "two or more"),
        ("runs/vae", "'runs/vae' is one"),
        ("runs/vae runs/vae/", "runs/vae is given twice"),
        ("runs runs/vae", "runs/vae is given twice"),
        ("runs/vae nowhere", "no run 'nowhere': it does not exist"),
        ("runs/vae runs/vae/config.json", "it is a file"),
        ("runs/vae empty", "empty holds no run: there is no config.json"),
        ("runs/vae runs/cvae/model", "a model without its run"),
        ("runs --out page.pdf", "must end in .html"),
        ("runs --out taken.html", "is there already"),
        ("runs --picture samples", "Did you mean '--pictures'?"),
    ],
)
def test_mistakes(vaezoo, two, line, what):
    Path("empty").mkdir()
    Path("taken.html").write_text("mine")
    assert what in vaezoo("compare", *line.split()).error
    assert Path("taken.html").read_text() == "mine"
    assert not Path("compare.html").exists()


def test_mistakes_are_told_before_torch_is_imported(two):
    code = (
        "import sys; from vaezoo.cli import main; main(['compare', 'runs/vae']); "
        "main(['compare', 'runs', '--pictures', 'x']); "
        "sys.exit(sorted({'torch', 'numpy', 'tyro'} & {*sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") == 2


def test_the_commands_of_its_page_work(vaezoo, two):
    text = (DOCS / "comparing.md").read_text(encoding="utf-8")
    commands = [
        line.split()[1:]
        for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
        for line in block.splitlines()
    ]
    assert commands
    for command in commands:
        result = vaezoo(*command)
        assert result.code == 0, result.err
        assert Path(result.out.strip()).exists()
