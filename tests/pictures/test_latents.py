"""Pictures of the latent space: paths, the plane, codes, and their components."""

from __future__ import annotations

import sys

import pytest
import torch
from picture_helpers import margins_are_paper, writings
from test_figures import cells, flat
from torch.distributions import Bernoulli

from vaezoo.errors import DataError
from vaezoo.pictures import factor_codes, interpolations, latent_codes, manifold
from vaezoo.pictures.factors import RAMP, ramp
from vaezoo.pictures.latents import principal_components

N, D = 40, 5


class Fake:
    """A model whose images are of one grey each, which says what was asked for."""

    latent_shape = (2,)

    def __init__(self):
        self.asked = []

    def interpolate(self, a, b, steps, y=None, *, mode):
        self.asked.append((mode, y))
        first = 100 if mode == "linear" else 200
        values = first + 10 * torch.arange(len(a)).unsqueeze(1) + torch.arange(steps)
        return flat(values.flatten()).unflatten(0, values.shape)

    def decode(self, z, y=None):
        self.asked.append((z, y))
        return Bernoulli(probs=flat(10 * z.flatten(1)[:, 0] + z.flatten(1)[:, 1] + 50))


def labels_of(monkeypatch):
    """The labels of the sheets that are drawn from now on."""
    drawn = {}
    for module in ("grid", "latents"):
        module = sys.modules[f"vaezoo.pictures.{module}"]
        original = module.draw_sheet

        def remember(rows, columns, original=original, **options):
            drawn.update(options)
            return original(rows, columns, **options)

        monkeypatch.setattr(module, "draw_sheet", remember)
    return drawn


def test_each_pair_has_a_row_for_each_mode_between_its_originals(monkeypatch):
    drawn = labels_of(monkeypatch)
    a, b = flat(torch.tensor([1, 2])), flat(torch.tensor([3, 4]))
    model, y = Fake(), torch.tensor([5, 6])
    sheet = interpolations(model, a, b, y, steps=3, of="mnist, test split")
    assert cells(sheet) == [
        [1, 100, 101, 102, 3],
        [1, 200, 201, 202, 3],
        [2, 110, 111, 112, 4],
        [2, 210, 211, 212, 4],
    ]
    assert model.asked == [("linear", y), ("spherical", y)]
    assert drawn["row_labels"] == ["linear", "spherical"] * 2
    assert drawn["column_labels"] == ["original", "0.0", "0.5", "1.0", "original"]
    assert drawn["rows_per_group"] == 2
    assert drawn["caption"].endswith("spherical (on an arc about the origin); mnist, test split")


def test_one_mode_alone_can_be_drawn(monkeypatch):
    drawn = labels_of(monkeypatch)
    one = flat(torch.tensor([1]))
    assert cells(interpolations(Fake(), one, one, modes=["spherical"], steps=2)) == [
        [1, 200, 201, 1]
    ]
    assert "linear" not in drawn["caption"]


def test_vectors_and_no_modes_are_refused():
    with pytest.raises(DataError, match="examples to start from"):
        interpolations(Fake(), torch.rand(2, 30), torch.rand(2, 30))
    one = flat(torch.tensor([1]))
    with pytest.raises(DataError, match="at least one mode; there are linear, spherical"):
        interpolations(Fake(), one, one, modes=[])


def test_the_first_latent_grows_to_the_right_and_the_second_upwards(monkeypatch):
    drawn = labels_of(monkeypatch)
    values = torch.tensor([[-1.0, 0.0, 2.0], [1.0, 3.0, 4.0]])
    sheet = manifold(Fake(), values, how="by hand")
    assert cells(sheet) == [[10 * z0 + z1 + 50 for z0 in (-1, 0, 2)] for z1 in (4, 3, 1)]
    assert drawn["gap"] == 1
    assert drawn["column_labels"] == ["-1.00", "0.00", "2.00"]
    assert drawn["row_labels"] == ["4.00", "3.00", "1.00"]
    assert drawn["caption"].endswith("z0 to the right and z1 upwards, by hand")


def test_a_manifold_of_a_model_with_labels_is_of_one_class(monkeypatch):
    drawn = labels_of(monkeypatch)
    model, values = Fake(), torch.zeros(2, 3)
    manifold(model, values, label=4, class_name="coat")
    z, y = model.asked[0]
    assert z.shape == (9, 2)
    assert y.tolist() == [4] * 9
    assert drawn["caption"].startswith("Manifold of class coat: ")


def test_spatial_codes_of_two_numbers_have_a_manifold_and_others_have_none():
    model = Fake()
    model.latent_shape = (2, 1, 1)
    manifold(model, torch.zeros(2, 3))
    assert model.asked[0][0].shape == (9, 2, 1, 1)
    model.latent_shape = (3,)
    with pytest.raises(DataError, match="plane of 2 latents"):
        manifold(model, torch.zeros(2, 3))


@pytest.mark.parametrize(("n", "d"), [(N, D), (4, 30), (2, 3), (1, 3)])
def test_principal_components_are_those_of_the_singular_value_decomposition(n, d):
    codes = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = codes * torch.linspace(3, 1, d)
    points, shares = principal_components(codes)
    _, s, v = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
    expected = (codes - codes.mean(0)) @ v[:2].T
    keep = min(n - 1, 2)  # so many components have any variance
    torch.testing.assert_close(points[:, :keep].abs(), expected[:, :keep].abs())
    if keep:
        torch.testing.assert_close(shares[:keep], (s**2 / (s**2).sum())[:keep])
        assert (points[:, :keep].gather(0, points[:, :keep].abs().argmax(0)[None]) > 0).all()
    assert points.isfinite().all()


def test_components_find_the_plane_that_codes_lie_in(monkeypatch):
    said = writings(monkeypatch)
    plane = torch.randn(N, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1])
    turn = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))[0]
    latent_codes(plane @ turn[:2], of="40 examples")
    titles = [line for line in said if "principal component:" in line]
    shares = [float(line.split(": ")[1].split("%")[0]) for line in titles]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert "of 5 dimensions on their first two principal components" in " ".join(said)


def test_collapsed_and_broken_codes_have_components():
    points, shares = principal_components(torch.ones(N, D))
    assert not points.any()
    assert shares.tolist() == [0, 0]
    codes = torch.randn(N, D)
    codes[3] = torch.nan
    points, _ = principal_components(codes)
    assert points.isnan().any(1).nonzero().flatten().tolist() == [3]


def test_two_latents_are_drawn_as_they_are(monkeypatch):
    said = writings(monkeypatch)
    latent_codes(torch.randn(N, 2), torch.zeros(N, dtype=torch.long), of="40 examples")
    assert {"z0", "z1"} <= {*said}
    assert "Codes: posterior means, coloured by class; 40 examples" in said


def test_each_factor_has_a_panel(monkeypatch):
    said = writings(monkeypatch)
    values = torch.stack([torch.arange(N) % 3, torch.arange(N) % 32], dim=1)
    names, sizes = ("shape", "x"), (3, 32)
    sheet = factor_codes(torch.randn(N, D), values, names, sizes, of="40 examples")
    assert {"shape: 0 to 2", "x: 0 to 31"} <= {*said}
    assert "dark where it is 0; 40 examples" in " ".join(said)
    assert margins_are_paper(sheet)
    factor_codes(torch.randn(N, 1), values, names, sizes)
    with pytest.raises(DataError, match="valid is"):
        factor_codes(torch.randn(N, D), values[:, :1], names, sizes)


def test_colours_go_from_dark_to_bright():
    assert (ramp(0, 5), ramp(4, 5), ramp(2, 5)) == (RAMP[0], RAMP[-1], RAMP[2])
    lightness = [
        sum(w * c for w, c in zip((2, 7, 1), ramp(v, 32), strict=True)) for v in range(32)
    ]
    assert lightness == sorted(lightness)
    assert ramp(0, 1) == RAMP[0]
