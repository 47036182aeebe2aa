"""log p(x) by importance sampling: every draw counts once, and memory changes no figure."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from test_closed_forms import LOG_P, conjugate_model
from torch import Tensor, nn
from torch.distributions import Distribution

import vaezoo
from vaezoo.importance import ATOMIC_SAMPLES, BLOCK, SAMPLES

SHAPE = (1, 4, 3)


def make(variant: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    network = vaezoo.networks.MLP(hidden=(5,))
    model = vaezoo.create(variant, input_shape=SHAPE, latent_dim=2, network=network, **options)
    return model.double()


def binary(n: int) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1)).round().double()


class OwnForward(vaezoo.VAE):
    """Draws z within its forward, as models of several sites do."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        return super().forward(x, y, samples)


def own_forward() -> vaezoo.VAE:
    model = make()
    return OwnForward(model.encoder, model.decoder, model.prior).double()


class Counting(vaezoo.Decoder):
    """Keeps how many examples each call decodes."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.decoded: list[int] = []

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        self.decoded.append(z.shape[:-1].numel())
        return self.decoder(z, y)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("samples", "chunks"), [(1, (1, 3)), (7, (1, 9)), (64, (1, 40, 320))])
@pytest.mark.parametrize("model", [make, own_forward])
def test_chunks_of_any_size_give_the_same_numbers(
    samples: int, chunks: tuple[int, ...], model: Any
) -> None:
    x = binary(5)
    whole = model().log_likelihood(x, samples=samples, seed=3, chunk=10**6)
    assert whole.dtype == torch.float64
    for chunk in (*chunks, None):
        found = model().log_likelihood(x, samples=samples, seed=3, chunk=chunk)
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)
    assert not torch.allclose(model().log_likelihood(x, samples=samples, seed=4), whole)


def test_five_thousand_samples_are_the_same_in_chunks_of_any_size() -> None:
    x = binary(3)
    whole = make().log_likelihood(x, samples=5000, seed=0, chunk=10**6)
    for chunk in (7, 100, 4096):
        found = make().log_likelihood(x, samples=5000, seed=0, chunk=chunk)
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("samples", "chunk"), [(1, 4), (7, 4), (SAMPLES + 13, 1), (64, 30)])
def test_every_sample_is_decoded_once_and_no_more_than_the_chunk_at_a_time(
    samples: int, chunk: int
) -> None:
    model, n = make(), 11
    model.decoder = counting = Counting(model.decoder)
    model.log_likelihood(binary(n), samples=samples, chunk=chunk)
    assert sum(counting.decoded) == samples * n
    assert max(counting.decoded) <= chunk


def test_a_forward_of_its_own_decodes_its_unit_at_once() -> None:
    model, n, samples = own_forward(), 11, 3 * ATOMIC_SAMPLES + 2
    model.decoder = counting = Counting(model.decoder)
    model.log_likelihood(binary(n), samples=samples, chunk=1)
    assert counting.decoded == [ATOMIC_SAMPLES * n] * 3 + [2 * n]


def test_pieces_of_whole_blocks_give_what_the_whole_does() -> None:
    model, x = make(), binary(2 * BLOCK + 31)
    whole = model.log_likelihood(x, samples=9, seed=2)
    pieces = [
        model.log_likelihood(x[i : i + BLOCK], samples=9, seed=2, first=i)
        for i in range(0, len(x), BLOCK)
    ]
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=1e-9)
    with pytest.raises(vaezoo.DataError, match="multiple of 100, not 7"):
        model.log_likelihood(x, samples=9, first=7)


def test_no_example_shares_its_draws_with_another() -> None:
    x = binary(1).expand(3 * BLOCK, *SHAPE)
    found = make().log_likelihood(x, samples=3, seed=0)
    assert len(found.unique()) == len(x)


def test_labels_stay_with_their_examples() -> None:
    model = make("cvae", num_classes=3)
    x, y = binary(12), torch.arange(12) % 3
    whole = model.log_likelihood(x, y, samples=20, seed=0)
    pieces = model.log_likelihood(x, y, samples=20, seed=0, chunk=5)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-9)
    assert not torch.allclose(model.log_likelihood(x, y.flip(0), samples=20, seed=0), whole)


def test_a_seed_leaves_the_callers_random_state_alone_and_without_one_it_decides() -> None:
    model, x = make(), binary(4)
    state = torch.get_rng_state()
    model.log_likelihood(x, samples=3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    found = [model.log_likelihood(x, samples=3) for _ in range(2)]
    torch.set_rng_state(state)
    again = [model.log_likelihood(x, samples=3) for _ in range(2)]
    assert torch.equal(torch.stack(found), torch.stack(again))
    assert not torch.equal(*found)


@pytest.mark.parametrize(
    ("samples", "bound", "digits"),
    [(2, -1.55892, 1e-5), (5, -1.469, 5e-4), (50, -1.43399, 8e-5), (500, -1.4307, 5e-5)],
)
def test_the_bounds_of_the_conjugate_model(samples: int, bound: float, digits: float) -> None:
    """Quadrature (K=2), and long runs. Units combined by their mean would end at K=50's."""
    x = torch.ones(200_000 // samples + 2_000, 1, dtype=torch.float64)
    found = conjugate_model().log_likelihood(x, samples=samples, seed=0)
    error = found.std().item() / math.sqrt(len(x))
    assert abs(found.mean().item() - bound) < 4 * error + digits


@pytest.mark.parametrize("samples", [1, SAMPLES, SAMPLES + 1, 5000])
def test_the_exact_posterior_gives_log_p_from_any_number_of_samples(samples: int) -> None:
    x = torch.ones(2, 1, dtype=torch.float64)
    found = conjugate_model(shift=0.0, widen=1.0).log_likelihood(x, samples=samples)
    assert (found - LOG_P).abs().max() < 1e-6


def test_a_relaxed_bound_has_no_log_likelihood_and_no_code_length() -> None:
    model, x = make().float(), binary(4).float()
    model.bound = "relaxed"
    for metric in ("log-likelihood", "bits-per-dim"):
        with pytest.raises(vaezoo.NoBoundError, match="relaxation of it, not its own"):
            vaezoo.evaluate(model, x, [metric])
    result = vaezoo.evaluate(model, x)
    assert result["bound"] == "relaxed"
    assert "elbo" in result
    assert "bits_per_dim" not in result
