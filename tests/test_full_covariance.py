"""full-covariance-vae: its KL against torch's formula and draws, and where it is the VAE."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

import vaezoo
from vaezoo.heads import PredictedSigma
from vaezoo.heads.gaussian import normal
from vaezoo.trace import closed_form_kl
from vaezoo_plugins.full_covariance_vae import FullCovariance

B, D = 3, 4


def a_posterior() -> MultivariateNormal:
    torch.manual_seed(0)
    head = FullCovariance((D,))
    q = head(torch.randn(B, *head.input_shape).double())
    assert isinstance(q, MultivariateNormal)
    return q


def test_the_kl_is_torchs_between_multivariate_normals() -> None:
    q = a_posterior()
    mean, sigma = torch.randn(D).double(), torch.rand(D).double() + 0.5
    kl = closed_form_kl(q, normal(mean, sigma, 1))
    p = MultivariateNormal(mean, scale_tril=sigma.diag())
    assert kl is not None
    assert torch.allclose(kl, kl_divergence(q, p), rtol=1e-10)


def test_the_kl_is_that_of_draws() -> None:
    q = a_posterior()
    p = normal(torch.zeros(D).double(), torch.ones(D).double(), 1)
    z = q.rsample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    kl = closed_form_kl(q, p)
    assert kl is not None
    assert ((ratio.mean(0) - kl).abs() < 4 * ratio.std(0) / len(z) ** 0.5).all()


def test_the_factor_is_lower_triangular_and_the_covariance_full() -> None:
    q = a_posterior()
    assert torch.equal(q.scale_tril, q.scale_tril.tril())
    assert (q.scale_tril.diagonal(dim1=-2, dim2=-1) > 0).all()
    assert (q.covariance_matrix.abs() > 1e-6).all()


def test_with_a_diagonal_factor_it_is_the_vaes_posterior() -> None:
    head, plain = FullCovariance((D,)), PredictedSigma((D,))
    parameters = torch.randn(B, *head.input_shape).double()
    parameters[:, 2 * D :] = 0
    q, expected = head(parameters), plain(parameters[:, : 2 * D])
    p = normal(torch.zeros(D).double(), torch.ones(D).double(), 1)
    z = torch.randn(2, B, D).double()
    assert torch.allclose(q.log_prob(z), expected.log_prob(z), atol=1e-10)
    assert torch.allclose(closed_form_kl(q, p), closed_form_kl(expected, p), atol=1e-10)


def test_free_bits_and_spatial_codes_are_refused_with_the_reason() -> None:
    model = vaezoo.create("full-covariance-vae", latent_dim=D)
    site = model(torch.rand(B, 1, 28, 28)).sites[0]
    assert site.kl_kind == "analytic"
    with pytest.raises(vaezoo.OptionError, match="no sum over these"):
        vaezoo.ELBO(free_bits=0.1).check(model(torch.rand(B, 1, 28, 28)))
    with pytest.raises(vaezoo.OptionError, match="over vectors"):
        vaezoo.create("full-covariance-vae", latent_shape=(2, 3, 3), network="resnet")


def test_one_latent_has_no_covariances() -> None:
    assert vaezoo.create("full-covariance-vae", latent_dim=1).sample(2).shape == (2, 1, 28, 28)
