"""``vaezoo score``: what each example's likelihood is, and which are unusual."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vaezoo as zoo
from vaezoo.data import read_for


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of 30 columns, in which line 13 is far from all others; a model of it."""
    root = tmp_path_factory.mktemp("table")
    rows = np.random.default_rng(0).normal(size=(60, 30)) * 50 + 7
    rows[11] += 4000
    header = ",".join(f"c{i}" for i in range(30))
    lines = "\n".join([header, *(",".join(map(str, row)) for row in rows)])
    (root / "a.csv").write_text(lines)
    made = zoo.data.as_data(str(root / "a.csv"))
    model = zoo.create("vae", input_shape=made.input_shape, latent_dim=3)
    zoo.fit(model, made, steps=3, batch_size=8, progress=False)
    zoo.save(model, root / "model")
    ae = zoo.create("ae", input_shape=made.input_shape, latent_dim=3)
    zoo.fit(ae, made, steps=1, batch_size=8, progress=False)
    zoo.save(ae, root / "ae")
    return root


def scores(path):
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row.pop("name") for row in rows]
    return names, {key: torch.tensor([float(row[key]) for row in rows]) for key in rows[0]}


def score(vaezoo, table, *flags):
    line = ["score", table / "model", table / "a.csv", "--samples", 20, "--out", "s.csv"]
    result = vaezoo(*line, "--overwrite", *flags)
    assert result.code == 0, result.err
    return result.out, *scores("s.csv")


def test_the_figures_are_those_of_the_model_at_the_same_seed(vaezoo, table):
    _, names, found = score(vaezoo, table, "--seed", 4)
    model = zoo.load(table / "model")
    source = read_for(model, table / "a.csv")
    assert names == list(source.names)
    assert torch.equal(found["elbo"], model.elbo(source.x, seed=4))
    nats = model.log_likelihood(source.x, samples=20, seed=4)
    assert torch.equal(found["log_likelihood"], nats)
    log_det = model.preprocessing.log_det
    assert torch.allclose(found["log_likelihood_in_file_units"], nats + log_det)
    assert torch.allclose(found["elbo_in_file_units"], found["elbo"] + log_det)


def test_the_means_are_those_of_eval(vaezoo, table):
    _, _, found = score(vaezoo, table)
    line = ["eval", table / "model", "--data", table / "a.csv", "--json", "--samples", 20]
    figures = json.loads(vaezoo(*line, "--metrics", "elbo", "log-likelihood").out)
    assert found["elbo"].mean().item() == pytest.approx(figures["elbo"], rel=1e-6)
    assert found["log_likelihood"].mean().item() == pytest.approx(
        figures["log_likelihood"], rel=1e-6
    )


def test_the_summary_names_the_most_unusual(vaezoo, table):
    out, names, found = score(vaezoo, table)
    lines = out.splitlines()
    assert lines[0] == "a: 60 examples; seed 0"
    place = lines.index("the lowest log p(x), the most unusual:")
    order = found["log_likelihood"].argsort()[:5].tolist()
    assert [" ".join(line.split()[:2]) for line in lines[place + 1 : place + 6]] == [
        names[i] for i in order
    ]
    assert lines[place + 1].split()[:2] == ["line", "13"]
    assert lines[-1] == "s.csv"


def test_batches_change_the_draws_and_nothing_else(vaezoo, table):
    """Another batch size pairs other noise with the rows: their log p(x) agree but for it."""
    _, names, whole = score(vaezoo, table)
    _, again, same = score(vaezoo, table)
    _, others, parts = score(vaezoo, table, "--batch-size", 7)
    assert names == again == others
    assert all(torch.equal(whole[key], same[key]) for key in whole)
    model = zoo.load(table / "model")
    x = read_for(model, table / "a.csv").x
    draws = torch.stack([model.elbo(x, seed=seed) for seed in range(50)])
    assert bool(((parts["elbo"] - draws.mean(0)).abs() < 6 * draws.std(0) + 1e-3).all())
    assert not torch.equal(parts["elbo"], whole["elbo"])


def test_labels_and_splits_of_a_run(vaezoo, trained):
    result = vaezoo("score", trained["cvae"], "--samples", 2, "--out", "s.csv")
    assert result.code == 0, result.err
    assert result.out.startswith("tiny, test split, binarized (static): 16 examples; seed 0\n")
    names, found = scores("s.csv")
    assert names == [str(i) for i in range(16)]
    assert set(found) == {"elbo", "log_likelihood"}
    assert "have none" in vaezoo("score", trained["cvae"], "tiny-unlabelled").error


def test_without_out_there_is_only_the_summary(vaezoo, table):
    result = vaezoo("score", table / "model", table / "a.csv", "--samples", 1)
    assert result.code == 0
    assert not list(Path().iterdir())


def test_mistakes(vaezoo, table):
    line = ["score", table / "model", table / "a.csv"]
    assert "is no bound on log p(x)" in vaezoo("score", table / "ae", table / "a.csv").error
    assert "--samples must be at least 1" in vaezoo(*line, "--samples", 0).error
    assert "'s.npz' must end in .csv" in vaezoo(*line, "--out", "s.npz").error
    assert "--seed must lie in" in vaezoo(*line, "--seed", -1).error
    assert "score: say which model" in vaezoo("score").error
    Path("s.csv").touch()
    assert "is there already" in vaezoo(*line, "--out", "s.csv").error


def test_rows_that_are_not_standardized_are_told_of(vaezoo, table):
    raw = np.random.default_rng(1).normal(size=(5, 30)).astype(np.float32)
    raw[1:3] = 4321.0
    np.save("raw.npy", raw)
    line = ["score", table / "model", "raw.npy", "--samples", 2, "--out", "raw.csv"]
    said = vaezoo(*line).err
    assert "2 rows of 5 hold values of up to 4e+03 standard deviations" in said
    assert "not standardized, as those of a .csv file are" in said
    np.save("raw.npy", raw[:1])
    assert "standard deviations" not in vaezoo(*line, "--overwrite").err
