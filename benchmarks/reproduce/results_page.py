"""Writes docs/results.md: what the scripts here have measured, beside the published figures.

Every figure is read from a result file; what has none is "not run".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import burda_iwae
import exemplar_vae
import m2_mnist
import static_mnist_784_400_40
from protocol import Row, missing

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "results.md"
FOLDER = "../benchmarks/reproduce"
NOT_RUN = "not run"
PROTOCOLS = [static_mnist_784_400_40, burda_iwae, exemplar_vae]
TITLES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
HEAD = """# Results

Ours beside published figures. This page is written by a
[script](../benchmarks/reproduce/results_page.py) from the result files that it links to, which
hold the resolved config, data with their splits, versions and machine; a test fails where they
disagree. What has not been run is "not run".

- Nats for each image, lower is better; errors of classification in percent. Unless said
  otherwise a figure is of one run with one seed, and ± is the standard error over the test images.
- The test split is the test file of the data, looked at once; binarization "dynamic" is of
  training: test images are binarized once. -ELBO has one sampled z for each image, -log p(x) so
  many importance samples. Published ± are the authors'.
- Seconds are of training alone, as it ran, on machines that had other work too.

"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the page."""

    data: str
    network: str
    measured: str
    published: str
    ours: str
    took: str
    made: str


COLUMNS = Line(
    data="data, binarization",
    network="model",
    measured="measured on",
    published="published",
    ours="ours",
    took="hardware, seconds",
    made="",
)


def read(name: str) -> Any:
    """The result file of a script; None where there is none."""
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def links(name: str) -> str:
    """To the script and its results."""
    script = f"[script]({FOLDER}/{name}.py)"
    found = (HERE / "results" / f"{name}.json").exists()
    return f"{script}, [result]({FOLDER}/results/{name}.json)" if found else script


def hardware(machine: dict[str, Any], seconds: float) -> str:
    """In a few words."""
    device, threads = machine["device"], machine["threads"]
    if device == "CPU":
        name = f" ({machine['cpu']})" if machine.get("cpu") else ""
        device = f"CPU{name}, {threads} thread{'s' * (threads > 1)}"
    return f"{device}; {seconds:,.0f} s"


def nats(figures: dict[str, Any], name: str) -> str:
    """A likelihood as nats that are better where they are lower, with its standard error."""
    return f"{-figures[name]:.2f} ± {figures[f'{name}_standard_error']:.2f}"


def classic() -> Iterator[Line]:
    """784-400-20, 10 epochs."""
    name = "mlp_784_400_20"
    published = {
        ("mnist", "none"): "104 to 107 ([pytorch/examples]"
        "(https://github.com/pytorch/examples/tree/main/vae), 60,000 training images)",
        (
            "mnist",
            "static",
        ): "about 104 ([flax](https://github.com/google/flax/tree/main/examples/vae))",
    }
    found = read(name)
    for row in found["results"]:
        kind = row["binarization"]
        yield Line(
            data=f"{TITLES[row['data']]}, {'grey' if kind == 'none' else kind}",
            network=f"vae 784-{row['hidden']}-20, ReLU, 10 epochs",
            measured=f"-ELBO, {row['figures']['split']} 10,000, 1 sample",
            published=published.get((row["data"], kind), "none"),
            ours=nats(row["figures"], "elbo"),
            took=hardware(found["machine"], row["seconds"]),
            made=links(name),
        )


def semi_supervised() -> Iterator[Line]:
    """M2 with 100 labels."""
    name = "m2_mnist"
    found = read(name)
    summary = found["summary"] if found else {"draws": 0}

    def ours(figure: str) -> str:
        if not summary["draws"]:
            return NOT_RUN
        told = f"{summary[figure]:.2f} %"
        if summary["draws"] > 1:
            told += f" ± {summary[f'{figure}_standard_error']:.2f}"
        return f"{told} ({summary['draws']} draws, ± over them)"

    took = (
        hardware(found["machine"], sum(r["seconds_of_training"] for r in found["results"]))
        if found
        else ""
    )
    for network, figure, published in (
        (
            "m2-vae 784-500-50, ReLU, 14 epochs",
            "error",
            "11.97 % ± 1.71 (Kingma et al. 2014, arXiv:1406.5298, table 1)",
        ),
        ("its classifier on the 100 labels alone", "error_of_classifier_alone", "none"),
    ):
        yield Line(
            data="MNIST with 100 labels, grey",
            network=network,
            measured="error, test 10,000",
            published=published,
            ours=ours(figure),
            took=took if figure == "error" else "",
            made=links(name),
        )


def neighbours() -> Iterator[Line]:
    """kNN on the codes."""
    name = "mnist_representation"
    found = read(name)["classification"]
    figures = found["figures"]["knn, all labels"]
    for network, figure, published in (
        ("kNN on the codes of vae 784-400-20, 10 epochs", "knn_accuracy", "none"),
        ("kNN on the pixels", "knn_accuracy_raw", "about 3 % (quoted from memory)"),
    ):
        error = figures[f"{figure}_standard_error"]
        yield Line(
            data="MNIST, grey",
            network=network,
            measured="error, test 10,000",
            published=published,
            ours=f"{100 * (1 - figures[figure]):.2f} % ± {100 * error:.2f}",
            took=hardware(found["machine"], found["figures"]["training"]["seconds"]),
            made=links(name),
        )


def cost() -> Iterator[Line]:
    """5,000 importance samples of each image, by device."""
    name = "importance_sampling"
    found = read(name) or {}
    for device in ("cpu", "cuda"):
        row = found.get(f"{device}, 10000 images")
        yield Line(
            data="MNIST, static",
            network=f"vae 784-400-20, ReLU, 1 epoch: what evaluation costs ({device})",
            measured="-log p(x), test 10,000, 5,000 samples",
            published="none",
            ours=nats(row, "log_likelihood") if row else NOT_RUN,
            took=f"{hardware(row['machine'], row['seconds']['wall'])} (evaluation)" if row else "",
            made=links(name),
        )


def protocol(script: Any) -> Iterator[Line]:
    """The rows of a published table."""
    name = script.RESULTS.stem
    found = read(name) or {}
    for row in script.ROWS:
        yield Line(
            data=f"{TITLES[row.data['name']]}, {row.training['binarization']}",
            network=f"{row.name}: {row.network}" if len(script.ROWS) > 1 else f"vae {row.network}",
            measured=f"-log p(x), test 10,000, {row.samples:,} samples",
            published=f"{row.published} ({row.source})",
            **state(row, found.get(row.name)),
            made=links(name),
        )


def state(row: Row, result: dict[str, Any] | None) -> dict[str, str]:
    """What there is to say of a row: a figure only where it was trained and measured."""
    if result is None:
        why = f": {missing(row)}" if row.variant is None else ""
        return {"ours": f"{NOT_RUN}{why}", "took": ""}
    took = hardware(result["machine"], result["seconds_of_training"])
    if result["state"] == "done":
        figures = result["figures"]
        ours = nats(figures, "log_likelihood")
        if figures["active_units"] is not None:  # which some priors leave undefined
            ours += f"; {figures['active_units']} of {figures['latent_dim']} units active"
        return {"ours": ours, "took": took}
    epochs, whole = result["epochs"], result["epochs_of_the_protocol"]
    if result["state"] == "trained":
        return {"ours": f"{NOT_RUN}: trained, not measured", "took": took}
    return {"ours": f"{NOT_RUN}: stopped after {epochs:g} of {whole:,} epochs", "took": took}


def departures() -> list[str]:
    """Where the protocols are not followed, a line for each script."""
    told = [f"- [m2_mnist]({FOLDER}/m2_mnist.py): {m2_mnist.DEPARTS}."]
    for script in PROTOCOLS:
        for words in dict.fromkeys(row.departs for row in script.ROWS if row.departs):
            told.append(f"- [{script.RESULTS.stem}]({FOLDER}/{script.RESULTS.stem}.py): {words}.")
    return told


FAMILIES = {
    "vae": ("the VAE", "", ""),
    "iwae": (
        "iwae, k = 50",
        "1.98",
        "Burda et al. 2016, table 1: 86.76 to 84.78, this network, 3,280 epochs",
    ),
    "vamp-vae": (
        "vamp-vae, 500 pseudo-inputs",
        "2.02",
        "Norouzi et al. 2020, table 1: 84.45 to 82.43, gated 784-300-300-40, up to 2,000 epochs",
    ),
    "iaf-vae": (
        "iaf-vae, 2 steps",
        "1.98",
        "Kingma et al. 2016, quoted from memory: 81.08 to 79.10, convolutional, 8 steps",
    ),
}


WHY = """
All three come out in the published order. The gains are of 12 epochs, not of thousands. The IWAE's
is larger than the published one; its ELBO falls, as it may, since a k-sample bound does not ask
for a tight q(z|x). Those of the prior and of the flow are smaller, and the flow's in log p(x) is
hardly more than its spread: two small steps make q(z|x) tighter, which shows in the ELBO at once,
while what the decoder gains by it takes longer.
""".strip().splitlines()


def families() -> list[str]:
    """IWAE, VampPrior and a flow posterior against the VAE: a section of its own."""
    found = read("families_mnist") or {"summary": {}, "images": 0, "samples": 0}
    head = f"""
## Do the families do what their papers say?

Dynamic MNIST, 784-200-200-50 and back, tanh, Burda et al.'s initial weights, 6,000 steps of 100
images (12 epochs), Adam 2e-3 falling to 0, the same for all; -log p(x) in nats with
{found["samples"]:,} importance samples of the first {found["images"]:,} test images. Mean and
sample standard deviation over the seeds; a gain is over the VAE of the same seed.
{links("families_mnist")}.

| model | seeds | -ELBO | -log p(x) | gain in ELBO | gain in log p(x) | published, in log p(x) |
|---|---|---|---|---|---|---|"""
    lines = head.splitlines()
    for name, (title, gain, source) in FAMILIES.items():
        row = found["summary"].get(name)
        cells = [NOT_RUN, "", "", "", ""]
        if row:
            figures = [told(row["elbo"], -1), told(row["log_likelihood"], -1)]
            gains = [row.get(f"{figure}_gain") for figure in ("elbo", "log_likelihood")]
            cells = [str(row["seeds"]), *figures]
            cells += ["" if own is None else told(own) for own in gains]
        lines.append(f"| {title} | {' | '.join(cells)} | {f'{gain} ({source})' if gain else ''} |")
    return [*lines, "", *WHY]


def told(figure: dict[str, float], sign: int = 1) -> str:
    """Mean and standard deviation."""
    spread = f" ± {figure['std']:.2f}" if "std" in figure else ""
    return f"{sign * figure['mean']:.2f}{spread}"


def page() -> str:
    """The whole page."""
    lines = [*classic(), *protocol(static_mnist_784_400_40), *protocol(burda_iwae)]
    lines += [*protocol(exemplar_vae), *semi_supervised(), *neighbours(), *cost()]
    rows = [f"| {' | '.join(astuple(line))} |" for line in (COLUMNS, *lines)]
    rows.insert(1, "|---" * len(astuple(COLUMNS)) + "|")
    tail = [
        "",
        "Where a protocol is not followed to the letter:",
        "",
        *departures(),
        *families(),
        "",
    ]
    return HEAD + "\n".join([*rows, *tail])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
