"""Which pictures a run ends with, and which examples they show."""

from __future__ import annotations

import pytest
import torch
from picture_helpers import writings

import vaezoo
from vaezoo.data import Data, Source, TensorSource, named_splits
from vaezoo.report import draw
from vaezoo.shown import (
    MEASURED,
    Shown,
    described,
    even_places,
    examples,
    most_active,
    pairs,
    shown_split,
)

X = torch.rand(40, 1, 3, 4, generator=torch.Generator().manual_seed(0))
ALWAYS = ["codes", "kl"]
SHEETS = ["reconstructions", "samples", "traversals", "interpolations"]


class Means:
    """A model whose posterior means are the first pixels of what it is shown."""

    num_classes = None
    device = torch.device("cpu")

    def embed(self, x, y):
        self.shown = x
        return x.flatten(1)[:, :5] * torch.tensor([0.1, 3, 2, 0.2, 1])


def data_of(shape, n=12, labels=None, classes=()):
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))
    source = TensorSource(x, labels, None if labels is None else 3)
    return named_splits("mine", {"train": (source, "all")}, classes=classes)


def drawn(folder, data, name="vae", records=(), **options):
    torch.manual_seed(0)
    options = {"latent_dim": 3, "network": {"name": "mlp", "hidden": [8]}} | options
    options = {name: value for name, value in options.items() if value is not None}
    model = vaezoo.create(name, input_shape=data.input_shape, **options)
    paths = draw(model, data, folder, binarization="none", records=records)
    assert all(path.parent == folder and path.suffix == ".png" for path in paths)
    return [path.stem for path in paths]


def test_images_bring_sheets_a_plane_of_two_latents_and_charts(tmp_path):
    data = data_of((1, 6, 5))
    assert drawn(tmp_path, data) == [*SHEETS, *ALWAYS]
    assert drawn(tmp_path, data, latent_dim=2) == [*SHEETS, "manifold", *ALWAYS]
    assert drawn(tmp_path, data, latent_dim=1) == [*SHEETS, *ALWAYS]
    record = {"split": "train", "step": 1, "elbo": -3.0}
    assert drawn(tmp_path, data, records=[record])[0] == "training_curve"


def test_vectors_bring_columns_in_place_of_sheets(tmp_path):
    assert drawn(tmp_path, data_of((7,)), likelihood="gaussian") == ["columns", *ALWAYS]


def test_what_is_neither_grey_nor_rgb_brings_charts_alone(tmp_path):
    assert drawn(tmp_path, data_of((2, 6, 5))) == ALWAYS


def test_a_model_with_labels_has_the_same_pictures(tmp_path):
    data = data_of((1, 6, 5), labels=torch.arange(12) % 3, classes=("a", "b", "c"))
    found = drawn(tmp_path, data, "cvae", num_classes=3, latent_dim=2)
    assert found == [*SHEETS, "manifold", *ALWAYS]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_examples_are_enough(tmp_path, n):
    few = [name for name in SHEETS if n > 1 or name != "interpolations"]
    assert drawn(tmp_path, data_of((1, 6, 5), n)) == [*few, *ALWAYS]
    labels = torch.arange(n) % 3
    data = data_of((1, 6, 5), n, labels=labels)
    found = drawn(tmp_path, data, "cvae", num_classes=3)
    assert found == [*(name for name in SHEETS if name != "interpolations"), *ALWAYS]


class Factored(Source):
    shape, num_classes = (1, 3, 4), None
    factor_names, factor_sizes = ("row", "side"), (20, 2)

    def __len__(self):
        return len(X)

    def examples(self, index):
        return X[index], None

    def factors(self, index):
        return torch.stack([index // 2, index % 2], dim=1)

    def to(self, device):
        return self


def test_data_with_known_factors_bring_a_scatter_for_each(tmp_path):
    data = Data(name="mine", description={}, train=Factored())
    assert drawn(tmp_path, data)[-3:] == ["codes", "factors", "kl"]


def test_sprites_have_factors(tmp_path):
    data = vaezoo.data.as_data({"name": "sprites", "test": 20, "validation": 20})
    shown = Shown(model=Means(), data=data, split="test", binarization="none")
    names, sizes, values = shown.factors
    assert names == ("shape", "scale", "orientation", "x", "y")
    assert torch.equal(values[:, 0], shown.labels)
    assert (values < torch.tensor(sizes)).all()


def test_a_table_brings_the_names_of_its_columns(tmp_path, monkeypatch):
    said = writings(monkeypatch)
    rows = "\n".join(f"{i},{i * i % 7},{-i}" for i in range(40))
    (tmp_path / "t.csv").write_text(f"age,height,weight\n{rows}\n")
    data = vaezoo.data.as_data(tmp_path / "t.csv")
    model = vaezoo.create("vae", input_shape=(3,), latent_dim=2)
    draw(model, data, tmp_path, binarization="none")
    assert {"age", "height", "weight"} <= {*said}


class TwoSites(vaezoo.VAE):
    def forward(self, x, y=None, samples=1):
        trace = super().forward(x, y, samples)
        return vaezoo.Trace(x, trace.px, (*trace.sites, *trace.sites))

    def generate(self, n, y=None):
        return super().generate(n, y)


def test_a_model_of_several_sites_has_no_paths_through_one(tmp_path):
    data = data_of((1, 6, 5))
    one = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=2)
    model = TwoSites(one.encoder, one.decoder, one.prior)
    paths = draw(model, data, tmp_path, binarization="none")
    assert [path.stem for path in paths] == ["reconstructions", "samples", *ALWAYS]


def test_the_same_model_and_data_make_the_same_bytes(tmp_path):
    data = data_of((1, 6, 5))
    for folder in ("a", "b"):
        drawn(tmp_path / folder, data, latent_dim=2)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_drawing_leaves_random_state_and_mode_alone(tmp_path):
    model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=2)
    model.train()
    state = torch.get_rng_state()
    draw(model, data_of((1, 6, 5)), tmp_path, binarization="dynamic")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())


def test_a_picture_that_fails_is_left_out_with_its_reason_and_the_others_are_drawn(tmp_path):
    data = data_of((1, 6, 5))
    model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=3)
    model.embed = lambda x, y=None: torch.full((len(x), 3), torch.nan)
    with pytest.warns(UserWarning, match=r"codes\.png is left out: None of the 12 points"):
        paths = draw(model, data, tmp_path, binarization="none")
    assert [path.stem for path in paths] == [*SHEETS, "kl"]


def test_captions_name_the_examples_their_number_and_split(tmp_path, monkeypatch):
    said = writings(monkeypatch)
    drawn(tmp_path, data_of((1, 6, 5), n=12), latent_dim=2)
    whole = " ".join(said)
    assert whole.count("mine") == 5
    assert whole.count("; 12 examples, mine") == 2


def test_only_some_of_many_examples_are_measured_from_all_over_the_split():
    data = data_of((1,), n=3 * MEASURED)
    shown = Shown(model=Means(), data=data, split="train", binarization="none")
    assert shown.measured_on == "5,000 of 15,000 examples, mine"
    assert (len(shown.index), shown.index[0], shown.index[-1]) == (MEASURED, 0, 3 * MEASURED - 1)


def test_places_are_even_and_never_repeated():
    assert even_places(9, 3) == [0, 4, 8]
    assert even_places(3, 10) == [0, 1, 2]
    for n in (1, 7, 499, 500, 501, 999, 1001, 10_000):
        places = even_places(n, 500)
        assert len(set(places)) == min(n, 500)
        assert places == sorted(places)


def test_pairs_come_from_all_over_the_data():
    assert pairs(TensorSource(X), 2, alike=False) == [(0, 26), (13, 39)]
    assert pairs(TensorSource(X[:3]), 5, alike=False) == [(0, 1)]
    assert pairs(TensorSource(X[:1]), 5, alike=False) == []


def test_alike_pairs_are_of_one_class_each_and_of_all_classes_in_turn():
    y = torch.arange(40) // 14  # sorted, as a folder of images is
    found = pairs(TensorSource(X, y), 5, alike=True)
    assert [(y[a].item(), y[b].item()) for a, b in found] == [(k, k) for k in (0, 1, 2, 0, 1)]
    assert all(a != b for a, b in found)
    assert pairs(TensorSource(X[:3], torch.arange(3)), 5, alike=True) == []


def test_the_test_split_is_shown_if_there_is_one():
    source = TensorSource(X)
    data = Data(name="mine", description={}, train=source, validation=source)
    assert shown_split(data)[0] == "validation"


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("none", ""),
        ("threshold", ", binarized (threshold)"),
        ("static", ", binarized (static)"),
        ("dynamic", ", binarized (static)"),
    ],
)
def test_examples_are_shown_as_the_model_takes_them_and_the_caption_says_so(kind, suffix):
    data = Data(name="mine", description={}, train=TensorSource(X))
    assert described(data, "test", kind) == f"mine, test split{suffix}"
    x, _ = examples(data.train, [3, 1], kind)
    assert x.shape == (2, 1, 3, 4)
    assert (set(x.unique().tolist()) <= {0.0, 1.0}) == (kind != "none")


def test_the_most_active_dimensions_are_those_of_binarized_images():
    model = Means()
    assert most_active(model, TensorSource(X), "dynamic", n=3) == [1, 2, 4]
    assert set(model.shown.unique().tolist()) == {0.0, 1.0}


class Autoencoder(vaezoo.VAE):
    """Without sites: nothing brings the codes near to the prior."""

    def forward(self, x, y=None, samples=1):
        return vaezoo.Trace(x, super().forward(x, y, samples).px, (), bound="none")


def test_an_autoencoder_has_a_plane_over_its_own_codes_and_no_kl(tmp_path, monkeypatch):
    said = writings(monkeypatch)
    one = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=2)
    model = Autoencoder(one.encoder, one.decoder, one.prior)
    paths = draw(model, data_of((1, 6, 5)), tmp_path, binarization="none")
    assert [path.stem for path in paths] == [*SHEETS, "manifold", "codes"]
    assert "central 95% of 12 posterior means" in " ".join(said)


def test_a_mixture_prior_has_a_plane_over_the_codes_and_one_kl(tmp_path, monkeypatch):
    said = writings(monkeypatch)
    found = drawn(tmp_path, data_of((1, 6, 5)), latent_dim=2, prior="mixture")
    assert found == [*SHEETS, "manifold", *ALWAYS]
    assert "central 95% of 12 posterior means" in " ".join(said)
    assert "all dimensions" in said


def test_a_spatial_code_is_drawn_flat(tmp_path, monkeypatch):
    said = writings(monkeypatch)
    data, options = data_of((1, 8, 8)), {"latent_dim": None, "latent_shape": (2, 2, 2)}
    assert drawn(tmp_path, data, **options) == [*SHEETS, *ALWAYS]
    assert {f"z{d}" for d in range(8)} <= {*said}
    assert any("nats in 8 dimensions" in line for line in said)


@pytest.mark.gpu
def test_a_model_on_cuda_is_drawn(tmp_path):
    data = data_of((1, 6, 5), labels=torch.arange(12) % 3)
    model = vaezoo.create("cvae", input_shape=(1, 6, 5), latent_dim=2, num_classes=3).cuda()
    paths = draw(model, data, tmp_path, binarization="none")
    assert [path.stem for path in paths] == [*SHEETS, "manifold", *ALWAYS]
