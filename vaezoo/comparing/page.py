"""The page: what a comparison of runs looks like. It loads nothing, and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import vaezoo
from vaezoo.comparing import images, notices, tables
from vaezoo.comparing.chart import line_chart
from vaezoo.comparing.curves import lines, time_unit
from vaezoo.comparing.elements import Html, element, join
from vaezoo.comparing.figures import basis, groups
from vaezoo.comparing.runs import ComparedRun

STYLE = Path(__file__).with_name("page.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser lets the page load: nothing."""
WIDE = 2.5
"""Width over height, above which pictures stand below each other: they compare so as well."""
CURVES = {
    "elbo": ("ELBO", "nats per example, higher is better"),
    "reconstruction": ("Reconstruction", "E_q[log p(x|z)], nats per example"),
    "kl": ("KL to the prior", "nats per example"),
}


def page(runs: Sequence[ComparedRun], command: str, pictures: Sequence[str] | None = None) -> str:
    """The HTML of a comparison: the same bytes of the same runs, so it bears no date.

    command: the line that made it. pictures: names of those to show; None: all.
    """
    title = f"Comparison of {len(runs)} runs"
    sections = {
        "figures": ("Figures", tables.figures(runs)),
        "options": ("What differs", tables.options(runs)),
        "curves": ("Training", _curves(runs)),
        "pictures": ("Pictures", _pictures(runs, pictures)),
        "cost": ("Size, time and machine", tables.cost(runs)),
    }
    shown = {name: section for name, section in sections.items() if section[1]}
    links = [element("a", heading, href=f"#{name}") for name, (heading, _) in shown.items()]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", f"{title}: {', '.join(run.name for run in runs)}"),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    )
    body = element(
        "body",
        element("header", element("h1", title), element("nav", *links)),
        element(
            "main",
            _legend(runs),
            _notices(runs),
            *(
                element("section", element("h2", heading), content, id=name)
                for name, (heading, content) in shown.items()
            ),
        ),
        element(
            "footer",
            element("p", f"vaezoo {vaezoo.__version__}: ", element("code", command)),
            element(
                "p",
                "All of this comes from the files of the runs: nothing was measured anew. It "
                "loads nothing, and bears no date, so that equal runs make an equal page.",
            ),
        ),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _legend(runs: Sequence[ComparedRun]) -> Html:
    """The runs, each with its line, its variant, and how far it is."""
    items = [
        element(
            "li",
            tables.named(place, run),
            element("span", run.variant, ", ", tables.progress(run), class_="muted"),
        )
        for place, run in enumerate(runs)
    ]
    return element("ul", *items, class_="legend")


def _notices(runs: Sequence[ComparedRun]) -> Html:
    """What must be known before the figures are looked at, then what the runs warned of."""
    found = [
        element(
            "div", element("strong", notice.title), *map(_paragraph, notice.lines), class_="notice"
        )
        for notice in notices.notices(runs)
    ]
    return element("div", *found, class_="notices") if found else Html()


def _paragraph(text: str) -> Html:
    return element("p", text)


def _curves(runs: Sequence[ComparedRun]) -> Html:
    """Charts of all runs whose nats may be compared; of others, charts of their own."""
    pieces: list[Html] = []
    for group in groups([basis(run, "validation") for run in runs]):
        shown = {place: runs[place] for place in group}
        validated = any(
            r.get("split") == "validation" for run in shown.values() for r in run.records
        )
        split = "validation" if validated else "train"
        if charts := _charts(shown, split):
            names = (element("li", tables.named(place, run)) for place, run in shown.items())
            if pieces:
                told = "These nats cannot be compared with those above."
                pieces.append(element("p", told, class_="muted apart"))
            pieces.append(element("ul", *names, class_="legend"))
            pieces.append(element("div", *charts, class_="charts"))
    return join(*pieces)


def _charts(runs: Mapping[int, ComparedRun], split: str) -> list[Html]:
    found = []
    for figure, (title, unit) in CURVES.items():
        by_step = lines(runs, figure, split)
        if not by_step:
            continue
        told = f"{unit}; {split} data"
        without = [
            run.name for place, run in runs.items() if place not in {line.look for line in by_step}
        ]
        told += f"; none is recorded of {', '.join(without)}" if without else ""
        found.append(line_chart(by_step, title=title, unit=told, x_title="training steps"))
        by_time = lines(runs, figure, split, over="seconds")
        if figure == "elbo" and by_time:
            name, size = time_unit(max(x for line in by_time for s in line.segments for x, _ in s))
            by_time = [line.scaled(1 / size) for line in by_time]
            x_title = f"{name} of training, without validation"
            over_time = f"{title} over time"
            found.append(line_chart(by_time, title=over_time, unit=told, x_title=x_title))
    return found


def _pictures(runs: Sequence[ComparedRun], chosen: Sequence[str] | None) -> Html:
    names = images.ordered({name for run in runs for name in run.pictures})
    rows = [_row(runs, name) for name in names if chosen is None or name in chosen]
    if not rows:
        return Html()
    hint = "A click, or Enter, enlarges a picture to the width of the page; another ends that."
    return join(element("p", hint, class_="muted no-print"), *rows)


def _row(runs: Sequence[ComparedRun], name: str) -> Html:
    """A picture of each run, all of one height; wide ones below each other, to be seen at all."""
    title, seen = images.about(name)
    found = {
        run.name: images.embedded(run.pictures[name]) if name in run.pictures else None
        for run in runs
    }
    there = [picture for picture in found.values() if picture is not None]
    ratio = images.lowest_ratio(there) if there else 1.0
    cells = []
    for place, run in enumerate(runs):
        picture = found[run.name]
        why = "cannot be read" if name in run.pictures else "none was drawn"
        inner: Html = element("p", why, class_="muted")
        if picture is not None:
            image = element(
                "img",
                src=picture.uri,
                alt=f"{title} of {run.name}" + (f": {seen}" if seen else ""),
                width=picture.width,
                height=picture.height,
            )
            inner = element("details", element("summary", image))
        cells.append(element("figure", element("figcaption", tables.named(place, run)), inner))
    heading = element("h3", title, " ", element("small", seen))
    row = element(
        "div",
        *cells,
        class_="row wide" if ratio > WIDE else "row",
        style=f"--columns: {len(runs)}; --ratio: {ratio:.4f}",
    )
    return join(heading, tables.scrolling(row, f"{title} of all runs"))
