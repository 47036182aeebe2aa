"""Classifiers of the codes: trained on the train split alone, measured on the other, beside the
floor; and anomalies told by likelihood and by reconstruction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import vaezoo
from vaezoo.data import Data, TensorSource, named_splits, select
from vaezoo.evaluation import Evaluation
from vaezoo.evaluation.anomaly import auroc

pytest.importorskip("sklearn")

D, CLASSES = 6, 3


class FirstTwo(vaezoo.Encoder):
    """The code is the first two numbers of x, which alone tell the classes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        self.calls += 1
        return Independent(Normal(self.scale * x[:, :2], 0.1), 1)


class Back(vaezoo.Decoder):
    """The mean of x given z: z, and zeros."""

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        mean = torch.cat([z, torch.zeros(*z.shape[:-1], D - 2)], dim=-1)
        return Independent(Normal(mean, 1.0), 1)


def make() -> vaezoo.VAE:
    return vaezoo.VAE(FirstTwo(), Back(), vaezoo.priors.StandardNormal((2,)))


def source(n: int, seed: int, noise: float = 30.0) -> TensorSource:
    """Three clusters in the first two numbers, and much noise in the others."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % CLASSES
    angle = 2 * math.pi * y / CLASSES
    centre = 3 * torch.stack([angle.cos(), angle.sin()], dim=1)
    x = torch.randn(n, D, generator=generator)
    x[:, :2] += centre
    x[:, 2:] *= noise
    return TensorSource(x, y, num_classes=CLASSES)


def data(train: TensorSource | None = None, test: TensorSource | None = None) -> Data:
    splits = {
        "train": (train or source(300, 0), "first"),
        "test": (test or source(150, 1), "second"),
    }
    return named_splits("clusters", splits)


def measured(metric: Any, on: Any = None, model: vaezoo.VAE | None = None) -> dict[str, Any]:
    return vaezoo.evaluate(model or make(), data() if on is None else on, [metric])


@pytest.mark.parametrize("metric", ["linear-probe", "knn"])
def test_codes_that_hold_the_class_beat_the_floor(metric: str) -> None:
    found = measured(metric)
    name = metric.replace("-", "_")
    accuracy, floor = found[f"{name}_accuracy"], found[f"{name}_accuracy_raw"]
    assert accuracy > 0.95
    assert floor < accuracy - (0.2 if metric == "knn" else 0)  # a line finds the two numbers
    assert (found[f"{name}_labels"], found["split"], found["unlabelled"]) == (300, "test", 0)
    error = math.sqrt(accuracy * (1 - accuracy) / 149)
    assert found[f"{name}_accuracy_standard_error"] == pytest.approx(error)


def test_the_figures_are_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    train, test = source(300, 0), source(150, 1)
    a, b = train.x[:, :2], test.x[:, :2]
    found = measured({"name": "knn", "k": 7}) | measured({"name": "linear-probe", "c": 0.01})
    neighbours = KNeighborsClassifier(7).fit(a, train.y)
    assert found["knn_accuracy"] == pytest.approx(neighbours.score(b, test.y))
    mean, std = a.mean(0), a.std(0, correction=0)  # of the train split
    probe = LogisticRegression(C=0.01, max_iter=1000).fit((a - mean) / std, train.y)
    assert found["linear_probe_accuracy"] == pytest.approx(probe.score((b - mean) / std, test.y))
    raw = LogisticRegression(C=0.01, max_iter=1000).fit(train.x, train.y)
    assert found["linear_probe_accuracy_raw"] == pytest.approx(raw.score(test.x, test.y))


@pytest.mark.parametrize("metric", ["linear-probe", "knn"])
def test_nothing_is_learned_from_what_is_measured(metric: str) -> None:
    """With the labels of the train split turned about, all of the test split is wrong."""
    train = source(300, 0)
    turned = TensorSource(train.x, (train.y + 1) % CLASSES, num_classes=CLASSES)
    found = measured({"name": metric, "floor": False}, data(train=turned))
    assert found[f"{metric.replace('-', '_')}_accuracy"] < 0.05


def test_few_labels_are_drawn_alike_of_each_class_over_several_draws() -> None:
    few = {"name": "knn", "labels": 9, "draws": 4, "k": 1}
    found = measured(few)
    assert (found["knn_labels"], found["knn_draws"]) == (9, 4)
    assert 0 < found["knn_accuracy_standard_error"] < 0.2
    assert 0.6 < found["knn_accuracy"] < measured("knn")["knn_accuracy"]
    assert measured(few) == found
    other = vaezoo.evaluate(make(), data(), [few], seed=1)
    assert other["knn_accuracy"] != found["knn_accuracy"]
    once = measured({**few, "draws": 1})
    assert math.isnan(once["knn_accuracy_standard_error"])


def test_unlabelled_examples_are_left_out_and_counted() -> None:
    train, test = source(300, 0), source(150, 1)
    train.y[::2], test.y[:40] = -1, -1
    found = measured("knn", data(train, test))
    assert (found["unlabelled"], found["knn_labels"], found["examples"]) == (40, 150, 150)
    kept = data(train, TensorSource(test.x[40:], test.y[40:], num_classes=CLASSES))
    assert measured("knn", kept)["knn_accuracy"] == found["knn_accuracy"]


def test_codes_are_made_once_for_all_metrics() -> None:
    model = make()
    vaezoo.evaluate(model, data(), ["knn", "linear-probe"])
    assert model.encoder.calls == 2  # one batch of each split


def without_labels(part: TensorSource) -> TensorSource:
    return TensorSource(part.x)


def unlabelled(part: TensorSource) -> TensorSource:
    return TensorSource(part.x, torch.full((len(part),), -1), num_classes=CLASSES)


def wrong() -> Iterator[tuple[Any, Any, str]]:
    raw = (source(90, 0).x, source(90, 0).y)
    yield "knn", raw, "learns from the train split .* it has no other"
    bare = named_splits(
        "bare", {s: (without_labels(source(90, 0)), "") for s in ("train", "test")}
    )
    yield "linear-probe", bare, "no labels come with the examples that are measured"
    yield "knn", data(train=unlabelled(source(90, 0))), "no labels come with the train split"
    yield {"name": "knn", "labels": 10}, data(), "give a multiple of 3, the number of classes"
    yield {"name": "knn", "labels": 303}, data(), "class 0 has 100 .* at most 300 labels"
    yield {"name": "knn", "labels": 3}, data(), "k=5 has only 3 labels"
    one = TensorSource(source(90, 0).x, torch.zeros(90).long(), num_classes=CLASSES)
    yield "linear-probe", data(train=one), "at least 2 classes"
    yield {"name": "anomaly", "normal": [0, 1, 2]}, data(), "none of the 150 .* is anomalous"
    yield {"name": "anomaly", "normal": [0, 7]}, data(), r"names the class 7, .* are 0\.\.2"
    two = TensorSource(source(90, 0).x, (source(90, 0).y % 2) + 1, num_classes=CLASSES)
    yield {"name": "anomaly", "normal": [0]}, data(test=two), "is normal"
    yield {"name": "anomaly", "normal": [0]}, bare, "no labels come with"


@pytest.mark.parametrize(("metric", "on", "message"), [*wrong()])
def test_what_cannot_be_classified_gets_one_clear_error(
    metric: Any, on: Any, message: str
) -> None:
    with pytest.raises(vaezoo.DataError, match=message):
        measured(metric, on)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"name": "knn", "k": 0}, "k must be at least 1"),
        ({"name": "knn", "labels": 0}, "labels must be at least 1"),
        ({"name": "knn", "draws": 0}, "draws must be at least 1"),
        ({"name": "linear-probe", "c": 0}, "c must be positive"),
        ({"name": "anomaly"}, "needs the option 'normal'"),
        ({"name": "anomaly", "normal": []}, "at least one class"),
        ({"name": "anomaly", "normal": [0], "samples": 0}, "samples must be at least 1"),
    ],
)
def test_wrong_options(metric: Any, message: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=message):
        measured(metric)


def test_measuring_the_train_split_itself_is_refused() -> None:
    with pytest.raises(vaezoo.DataError, match="learns from the train split"):
        vaezoo.evaluate(make(), data(), ["knn"], split="train")


def test_codes_made_from_the_labels_are_not_classified() -> None:
    cvae = vaezoo.create("cvae", input_shape=(D,), latent_dim=2, num_classes=CLASSES)
    with pytest.raises(vaezoo.DataError, match="would tell what they were told"):
        measured("knn", model=cvae)


@pytest.mark.parametrize("samples", [1, 20])
def test_anomalies_are_told_from_normal_examples(samples: int) -> None:
    """Of the class 2 alone the fourth number is far from what the decoder makes."""
    train, test = source(300, 0, noise=1.0), source(150, 1, noise=1.0)
    test.x[2::3, 3] += 4
    options = {"name": "anomaly", "normal": [0, 1], "samples": samples}
    found = measured(options, data(train, test))
    for score in ("likelihood", "reconstruction"):
        assert found[f"anomaly_auroc_{score}"] > 0.9
        assert 0 < found[f"anomaly_auroc_{score}_standard_error"] < 0.05
    assert (found["anomaly_examples"], found["anomaly_samples"]) == (50, samples)
    mirrored = measured({**options, "normal": [2]}, data(train, test))
    assert mirrored["anomaly_auroc_reconstruction"] == pytest.approx(
        1 - found["anomaly_auroc_reconstruction"]
    )
    test.y[:30] = -1
    some = measured(options, data(train, test))
    assert (some["unlabelled"], some["anomaly_examples"]) == (30, 40)


def test_anomalies_are_not_looked_for_with_their_labels() -> None:
    """A cvae would be told what it is to find; m2-vae does without."""
    x, y = source(150, 1).x, source(150, 1).y
    anomaly = {"name": "anomaly", "normal": [0, 1]}
    cvae = vaezoo.create("cvae", input_shape=(D,), latent_dim=2, num_classes=CLASSES)
    with pytest.raises(vaezoo.DataError, match="with a model that sees x alone"):
        measured(anomaly, model=cvae)
    m2 = vaezoo.create("m2-vae", input_shape=(D,), latent_dim=2, num_classes=CLASSES)
    m2.prepare(vaezoo.Batch(x, y), len(x))
    seen: list[Any] = []
    m2.register_forward_pre_hook(lambda module, given: seen.append(given[1:]))
    found = measured(anomaly, data(test=TensorSource(x, y)), model=m2)
    assert all(labels in ((), (None,)) for labels in seen)
    assert len(seen) > 0
    area, _ = auroc(-m2.elbo(x, seed=0).double(), y == 2)
    assert found["anomaly_auroc_likelihood"] == pytest.approx(area, abs=0.1)


def test_a_model_without_a_bound_tells_anomalies_by_reconstruction_alone() -> None:
    model = make()
    model.bound = "none"
    found = measured({"name": "anomaly", "normal": [0]}, model=model)
    assert math.isnan(found["anomaly_auroc_likelihood"])
    assert 0 <= found["anomaly_auroc_reconstruction"] <= 1


def test_the_area_is_the_share_of_pairs_in_order_and_its_error_is_that_of_repeats() -> None:
    generator = torch.Generator().manual_seed(0)
    anomalous = torch.arange(150) < 60
    areas, errors = [], []
    for _ in range(100):
        score = torch.randn(150, generator=generator) + 0.8 * anomalous
        area, error = auroc(score, anomalous)
        areas.append(area)
        errors.append(error)
    pairs = (score[:60, None] > score[60:]).double().mean().item()
    assert areas[-1] == pytest.approx(pairs)
    assert torch.tensor(areas).std().item() == pytest.approx(sum(errors) / 100, rel=0.25)
    assert auroc(torch.zeros(150), anomalous)[0] == 0.5


def test_some_classes_are_selected_in_every_split_under_a_name_that_says_so() -> None:
    whole = data()
    some = select(whole, classes=[2, 0])
    assert some.name == some.title == some.description["name"] == "clusters (classes 0, 2)"
    assert (len(some.train), len(some.split("test"))) == (200, 100)
    assert some.num_classes == CLASSES
    index = torch.arange(100)
    x, y = some.split("test").examples(index)
    assert y is not None
    assert set(y.tolist()) == {0, 2}
    test = whole.split("test")
    kept = test.y != 1  # type: ignore[attr-defined]
    assert torch.equal(x, test.x[kept])  # type: ignore[attr-defined]
    assert some.description["splits"]["train"] == {
        "size": 200,
        "rule": "first; of these, classes 0, 2",
    }


@pytest.mark.parametrize(
    ("on", "classes", "message"),
    [
        (torch.rand(9, D), [0], "have no labels|has no labels"),
        (data(), [3], r"classes must lie in 0\.\.2"),
        (data(), [], "at least one"),
        (data(test=TensorSource(torch.rand(2, D), torch.zeros(2).long(), 3)), [1], "test split"),
        (iter([torch.rand(4, D)]), [1], "stream"),
    ],
)
def test_what_cannot_be_selected(on: Any, classes: list[int], message: str) -> None:
    with pytest.raises(vaezoo.DataError, match=message):
        select(on, classes=classes)


def test_an_evaluation_keeps_its_codes() -> None:
    evaluation = Evaluation(
        model=make(), source=source(30, 1), binarization="none", seed=0, train=source(60, 0)
    )
    assert evaluation.codes is evaluation.codes
    assert evaluation.codes.shape == (30, 2)
    assert evaluation.train_codes.shape == (60, 2)
