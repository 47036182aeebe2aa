"""Comparing runs: which figures may be compared, which is the best, options, curves, HTML."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from PIL import Image

from vaezoo import report
from vaezoo.comparing import figures, images, notices, options, tables
from vaezoo.comparing.chart import DASHES, dash, line_chart
from vaezoo.comparing.curves import Line, lines, seconds_at, time_unit
from vaezoo.comparing.elements import Html, element, join
from vaezoo.comparing.runs import ComparedRun, read_runs, short_names
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec, MetricSpec
from vaezoo.training.run_folder import RunFolder

MADE_ON = {"data": "mnist", "split": "test", "examples": 10_000, "binarization": "dynamic"}
SPLITS = {"test": {"size": 10_000, "rule": "the test file"}}


def run(
    name="a", *, likelihood="bernoulli", data="mnist", print_="1", path=None, state="finished",
    records=(), model=None, training=None, **found,
):  # fmt: skip
    """A run that was measured as told."""
    parts = {} if likelihood is None else {"likelihood": {"name": likelihood}}
    config = {
        "model": {"variant": "vae", "shared": {"input_shape": [1, 28, 28]}, "parts": parts},
        "data": {"name": data, "options": {}, "splits": SPLITS, "fingerprint": print_},
        "training": {"binarization": "dynamic", "steps": 10, **(training or {})},
    }
    config["model"] |= model or {}
    if path is not None:
        config["data"]["options"]["path"] = path
    return ComparedRun(
        path=Path(name), name=name, state=state, config=config, records=records,
        figures={**MADE_ON, "seed": 0, **found}, trouble="", pictures={}, weights={},
    )  # fmt: skip


def elbo(value, error=0.4, name="a", **options):
    found = {"elbo": value} if error is None else {"elbo": value, "elbo_standard_error": error}
    return run(name, **found, **options)


def marked(*runs, figure="elbo"):
    return figures.marks(runs, figure)


def test_the_best_is_named_beyond_twice_the_standard_error_of_the_difference():
    apart = 2 * math.hypot(0.3, 0.4)
    assert marked(elbo(-90, 0.3), elbo(-90 - 1.01 * apart, 0.4)) == ["best", ""]
    assert marked(elbo(-90, 0.3), elbo(-90 - 0.99 * apart, 0.4)) == ["within error"] * 2
    three = [elbo(-95), elbo(-90.1), elbo(-90)]
    assert marked(*three) == ["", "within error", "within error"]
    assert marked(elbo(-90), elbo(-90)) == ["within error"] * 2


def test_lower_is_better_of_bits_and_nothing_of_a_term_of_the_elbo():
    error = {"bits_per_dim_standard_error": 0.001}
    few, many = (run(bits_per_dim=value, **error) for value in (0.2, 0.3))
    assert marked(many, few, figure="bits_per_dim") == ["", "best"]
    for name in ("kl", "reconstruction", "mystery"):
        error = {f"{name}_standard_error": 0.1}
        assert marked(run(**{name: 1.0}, **error), run(**{name: 9.0}, **error), figure=name) == [
            "", "",
        ]  # fmt: skip


def test_without_standard_errors_or_rivals_no_best_is_named():
    assert marked(elbo(-90, None), elbo(-95, None)) == ["", ""]
    assert marked(elbo(-90), elbo(-95), elbo(-91, None)) == [""] * 3  # it may be as good
    assert marked(elbo(-90), run()) == ["", ""]
    assert marked(elbo(math.nan), elbo(-95)) == ["", ""]


@pytest.mark.parametrize(
    "other",
    [
        {"likelihood": "gaussian"},
        {"data": "kmnist"},
        {"split": "validation"},
        {"examples": 5_000},
        {"binarization": "static"},
        {"bound": "relaxed"},
        {"model": {"shared": {"input_shape": [1, 32, 32]}}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_was_measured_otherwise_is_not_compared(other):
    pair = [elbo(-90), elbo(-20, name="b", **other)]
    assert marked(*pair) == ["", ""]
    assert marked(*pair, elbo(-95, name="c")) == ["best", "", ""]  # of those of its kind
    assert notices.group_names(pair) == ["A", "B"]
    (notice,) = notices.notices(pair)
    assert "cannot all be compared" in notice.title
    assert notice.lines[:2] == ["A: a", "B: b"]
    assert all("differ in" in line for line in notice.lines[2:])


def test_likelihoods_matter_to_nats_alone():
    error = {"bits_per_dim_standard_error": 0.001}
    a = run("a", likelihood="categorical", bits_per_dim=3.1, **error)
    b = run("b", likelihood="discretized-logistic", bits_per_dim=3.0, **error)
    assert marked(a, b, figure="bits_per_dim") == ["", "best"]
    assert notices.group_names([a, b]) == ["A", "B"]
    (notice,) = notices.notices([a, b])
    assert notice.lines[-1] == (
        "They differ in likelihood p(x|z): categorical (a); discretized-logistic (b)."
    )


def test_a_likelihood_of_ones_own_is_compared_with_none():
    assert marked(*(elbo(value, name=f"{value}", likelihood=None) for value in (-90, -95))) == [
        "", "",
    ]  # fmt: skip


def test_importance_samples_matter_to_their_figure_alone():
    error = {"log_likelihood_standard_error": 0.1, "elbo_standard_error": 0.1}
    few, many = (
        run(name, log_likelihood=-ll, elbo=-ll, samples=n, **error)
        for name, ll, n in (("few", 90.0, 10), ("many", 88.0, 5_000))
    )
    assert marked(few, many, figure="log_likelihood") == ["", ""]
    assert marked(few, many) == ["", "best"]
    assert notices.notices([few, many]) == []


def test_a_name_fixes_the_test_split_and_a_path_does_not():
    named = [elbo(-90, name="a"), elbo(-95, name="b", print_="2")]
    assert marked(*named) == ["best", ""]
    (notice,) = notices.notices(named)
    assert notice.title.startswith("Trained on different examples or labels")
    files = [elbo(-90), elbo(-95, print_="2")]
    for each in files:
        each.config["data"]["options"]["path"] = "/data/photos"
    assert marked(*files) == ["", ""]
    given = [elbo(-90, data="Tensor"), elbo(-95, data="Tensor", print_="2")]
    assert marked(*given) == ["", ""]


def test_the_same_data_at_another_path_are_the_same():
    files = [elbo(-90, path="/a/photos"), elbo(-95, path="/b/photos")]
    assert marked(*files) == ["best", ""]


def test_figures_are_what_is_a_number_the_known_ones_first():
    found = run(
        zeal=1, elbo=-3.0, elbo_standard_error=1.0, kl=None, bound="exact", samples=3,
        kl_by_dimension={"z": [1.0]}, warnings=["x"], sure=True,
    )  # fmt: skip
    assert figures.figure_names([found]) == ["elbo", "kl", "zeal"]


def test_every_figure_with_a_better_side_is_one_of_a_metric():
    metrics = {spec.name.replace("-", "_") for spec, _ in lookup.specs(MetricSpec)}
    better = {name for name, kind in figures.KINDS.items() if kind.better}
    assert better - {"accuracy"} <= metrics


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-200.395, 1.1056, "-200.4 ± 1.1"),
        (-81.2345, 0.0345, "-81.234 ± 0.035"),
        (-1234.5, 23.4, "-1,234 ± 23"),
        (0.28263, None, "0.2826"),
        (21.0036, None, "21.00"),
        (5.0, 0.0, "5.0000"),
        (None, None, "undefined"),
    ],
)
def test_figures_are_rounded_to_two_digits_of_their_error(value, error, text):
    assert tables.rounded(value, error) == text


def test_options_have_the_names_of_the_command_line():
    model = {"options": {"beta": 4.0}, "parts": {"network": {"name": "mlp", "hidden": [5, 3]}}}
    found = options.table([run(model=model), run(training={"ema": None})])
    assert found["model.beta"] == [4.0, options.ABSENT]
    assert found["model.network"] == ["mlp", options.ABSENT]
    assert found["model.network.hidden"][0] == [5, 3]
    assert found["steps"] == [10, 10]
    differing = {name for name, values in found.items() if options.differs(values)}
    expected = {"model.beta", "model.network", "model.network.hidden", "model.likelihood", "ema"}
    assert differing == expected
    names = [*found]
    assert names.index("model.beta") < names.index("data") < names.index("steps")
    assert [options.shown(v) for v in ([5, 3], None, True, 0.1, [], options.ABSENT)] == [
        "5, 3", "none", "true", "0.1", "none", "–",
    ]  # fmt: skip


def trained(step, seconds):
    return {"split": "train", "step": step, "seconds": seconds}


def test_time_goes_by_between_the_records_of_training():
    clock = seconds_at([trained(10, 2.0), {"split": "validation", "step": 10}, trained(30, 6.0)])
    assert [clock(step) for step in (0, 5, 10, 20, 30, 99)] == [0.0, 1.0, 2.0, 5.0, 8.0, 8.0]
    assert seconds_at([{"split": "validation", "step": 10}]) is None
    assert seconds_at([trained(10, None)]) is None
    assert [time_unit(s)[0] for s in (90, 150, 8_000)] == ["seconds", "minutes", "hours"]


def test_a_line_is_broken_where_a_figure_is_not_finite():
    values = {1: -5.0, 2: None, 3: -4.0}
    records = [{"split": "validation", "step": s, "elbo": v} for s, v in values.items()]
    records.append(trained(4, 8.0))
    (line,) = lines({3: run(records=records)}, "elbo", "validation")
    assert (line.look, line.segments) == (3, [[(1.0, -5.0)], [(3.0, -4.0)]])
    (line,) = lines({3: run(records=records)}, "elbo", "validation", over="seconds")
    assert line.scaled(0.5).segments == [[(1.0, -5.0)], [(3.0, -4.0)]]
    assert lines({0: run(records=records)}, "kl", "validation") == []


def test_points_lie_where_the_axes_say():
    points = [(100.0, -80.0), (200.0, -60.0)]
    svg = line_chart(
        [Line(look=1, name="<a>", segments=[points])], title="t", unit="u", x_title="x"
    )
    assert "<a>" not in svg
    rules = re.findall(r'<line x1="([\d.]+)" x2="[\d.]+" y1="([\d.]+)"[^>]*class="rule"', svg)
    labels = re.findall(r'text-anchor="end">([^<]+)<', svg)
    levels = dict(zip(map(float, labels), (float(y) for _, y in rules), strict=True))
    at = re.search(r'<polyline points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', svg)
    _, low, right, high = map(float, at.groups())
    baseline = max(map(float, re.findall(r'y2="([\d.]+)" class="axis"', svg))) - 5
    assert all(0 < y <= baseline for y in (*levels.values(), low, high))
    assert levels[-80.0] == pytest.approx(low, abs=0.11)
    assert levels[-60.0] == pytest.approx(high, abs=0.11)
    below = dict(re.findall(r'<text x="([\d.]+)"[^>]*middle">(\d+)<', svg))
    assert {label: float(x) for x, label in below.items()}["200"] == pytest.approx(right, abs=0.11)
    assert "<a>".replace("<", "&lt;").replace(">", "&gt;") + ": -80.00 at 100" in svg


def test_lines_of_one_colour_have_other_dashes():
    looks = {(look % 6, dash(look)) for look in range(36)}
    assert len(looks) == 36
    assert len({dash(look) for look in range(6)}) == len(DASHES) == 6


def test_all_but_html_is_escaped():
    made = element("td", "a < b & c", element("b", "x"), class_="q\"'", hidden=True, title=None)
    assert made == '<td class="q&quot;&#x27;" hidden>a &lt; b &amp; c<b>x</b></td>'
    assert element("img", src="x", aria_label="y") == '<img src="x" aria-label="y">'
    assert join("<", Html("<")) == "&lt;<"


def test_names_are_as_short_as_tells_runs_apart():
    paths = [Path("/x/a/run"), Path("/x/b/run"), Path("/x/b/other"), Path("/y/b/run")]
    assert short_names(paths) == ["x/a/run".removeprefix("x/"), "x/b/run", "other", "y/b/run"]


def test_the_page_knows_all_pictures_that_runs_end_with():
    assert [*images.ABOUT] == [name for name in report.PICTURES if name != "training_curve"]
    assert {*images.CHARTS} <= images.ABOUT.keys()
    assert images.ordered(["mine", "kl", "samples"]) == ["samples", "kl", "mine"]


def test_sheets_keep_each_pixel_and_nothing_else_of_their_file(tmp_path):
    import base64
    import io

    from PIL.PngImagePlugin import PngInfo

    sheet = Image.effect_noise((40, 30), 80).convert("RGB")
    told = PngInfo()
    told.add_text("author", "somebody")
    sheet.save(tmp_path / "samples.png", pnginfo=told)
    found = images.embedded(tmp_path / "samples.png")
    with Image.open(io.BytesIO(base64.b64decode(found.uri.partition(",")[2]))) as again:
        assert again.convert("RGB").tobytes() == sheet.tobytes()
        assert not again.info
    sheet.save(tmp_path / "kl.png")  # a chart, which may lose colours for a smaller page
    assert len(images.embedded(tmp_path / "kl.png").uri) < len(found.uri) / 2
    (tmp_path / "codes.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert images.embedded(tmp_path / "codes.png") is None


def test_a_run_without_validation_or_weights_is_read(tmp_path):
    config = dict(run().config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (found,) = read_runs([RunFolder(tmp_path)])
    assert (found.state, found.step, found.steps) == ("interrupted", 0, 10)
    assert not found.figures
    assert not found.weights
    (notice,) = notices.notices([found])
    assert notice.lines == ["It has no figures yet."]


def test_the_best_validation_of_what_is_no_bound_has_the_least_loss(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(run().config))
    values = {1: 9.0, 2: 3.0, 3: None}
    lines_ = [{"split": "validation", "step": s, "loss": v, "kl": s} for s, v in values.items()]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines_)))
    (found,) = read_runs([RunFolder(tmp_path)])
    assert found.figures == {"split": "validation", "binarization": "dynamic", "kl": 2}


def test_the_names_that_fix_a_split_are_those_of_data_sets():
    assert "mnist" in lookup.names(DatasetSpec)
    assert "Tensor" not in lookup.names(DatasetSpec)
