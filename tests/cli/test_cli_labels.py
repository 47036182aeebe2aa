"""Training from few labels on the command line: ``--labels``, and what a run remembers of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import SMALL

import vaezoo as zoo
from vaezoo.cli.plan import make_plan
from vaezoo.data.labels import labels_of

LINE = ["train", "m2-vae", "--data", "tiny", "--labels", "6", *SMALL]


def config(run):
    return json.loads((Path(run) / "config.json").read_text())


def test_few_labels_are_part_of_the_run_and_it_resumes_with_them(vaezoo):
    result = vaezoo(*LINE, "--label-seed", 3, "--labelled-share", 0.5)
    assert result.code == 0, result.err
    assert "accuracy" in result.out
    run = "runs/m2-vae-tiny"
    recorded = config(run)["data"]
    options = {"keep_labels": 6, "label_seed": 3, "labelled_share": 0.5}
    assert recorded["options"] == options
    assert recorded["splits"]["train"]["size"] == 118  # 58 without a label, and 6 ten times
    assert (
        config(run)["overrides"].items() >= {"data.keep_labels": 6, "data.label_seed": 3}.items()
    )
    longer = vaezoo("train", "--resume", "--out", run, "--steps", 5)
    assert longer.code == 0, longer.err
    assert config(run)["data"] == recorded
    figures = json.loads(vaezoo("eval", run, "--metrics", "accuracy", "--json").out)
    assert figures["split"] == "test"
    assert figures["labelled"] == 16
    assert 0 <= figures["accuracy"] <= 1
    assert vaezoo("train", "--resume", "--out", run, "--labels", 9).code == 2


def test_by_default_a_tenth_is_labelled_and_the_seed_is_0(vaezoo):
    plan = make_plan(LINE[1:])
    y = labels_of(plan.target.data.train, "it")
    assert plan.target.choice == {"name": "tiny", "keep_labels": 6}
    assert (y >= 0).double().mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train m2-vae --data tiny --labels 2", "at least one label of each of 3 classes"),
        ("train m2-vae --data tiny --labels few", "takes an integer"),
        ("train m2-vae --data tiny-unlabelled --labels 6", "has no labels"),
        ("train m2-vae --data tiny-unlabelled", "num_classes"),
        ("train vae --data tiny --labelled-share 2", "must lie in [0, 1)"),
        ("train cvae --data tiny --labels 6", "takes 0..2 and no unlabelled (-1) ones"),
    ],
)
def test_mistakes_are_told_in_one_line(vaezoo, line, message):
    assert message in vaezoo(*line.split(), *SMALL).error


def test_accuracy_of_what_predicts_and_of_what_does_not(vaezoo):
    assert vaezoo("train", "cvae", "--data", "tiny", *SMALL).code == 0
    figures = json.loads(vaezoo("eval", "runs/cvae-tiny", "--metrics", "accuracy", "--json").out)
    assert {"accuracy", "accuracy_standard_error"} < {*figures}
    assert vaezoo("train", "vae", "--data", "tiny", *SMALL).code == 0
    line = ["eval", "runs/vae-tiny", "--metrics", "accuracy"]
    assert "predicts no labels" in vaezoo(*line).error


def test_predict_writes_the_label_of_each_example(vaezoo):
    for name in ("m2-vae", "cvae"):
        assert vaezoo("train", name, "--data", "tiny", *SMALL, "--out", name).code == 0
        result = vaezoo("predict", name, "--out", "labels.csv", "--overwrite")
        assert result.code == 0, result.err
        with Path("labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        model = zoo.load(name)
        source = zoo.data.as_data("tiny").split("test")
        proba = model.predict_proba(source.x)
        assert [row["label"] for row in rows] == ["abc"[i] for i in proba.argmax(1)]
        assert [float(row["probability"]) for row in rows] == proba.max(1).values.tolist()
        assert [row["name"] for row in rows] == [str(i) for i in range(16)]
        counts = dict(line.split() for line in result.out.splitlines()[1:4])
        assert sum(map(int, counts.values())) == 16
    np.save("images.npy", source.x.numpy())  # without labels
    assert vaezoo("predict", "cvae", "images.npy").code == 0


def test_what_predicts_no_labels_says_so(vaezoo):
    assert vaezoo("train", "vae", "--data", "tiny", *SMALL, "--out", "vae").code == 0
    assert "predicts no labels" in vaezoo("predict", "vae").error
