"""Plain torch modules as encoder and decoder, as a practitioner has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vaezoo

DATA, LATENT = (1, 6, 5), 4


def plain_encoder(width: int = 2 * LATENT) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(30, 9), nn.ReLU(), nn.Linear(9, width))


def plain_decoder(width: int = 30) -> nn.Module:
    return nn.Sequential(nn.Linear(LATENT, 9), nn.ReLU(), nn.Linear(9, width))


class Conditional(nn.Module):
    """Takes the labels, one-hot, as a second argument."""

    def __init__(self, inputs: int, classes: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs + classes, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out: Tensor = self.linear(torch.cat([x.flatten(1), y], dim=1))
        return out


class TwoOutputs(nn.Module):
    """As many tutorials write an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_variance = nn.Linear(30, LATENT), nn.Linear(30, LATENT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = x.flatten(1)
        return self.mean(h), self.log_variance(h)


def make(variant: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create(variant, input_shape=DATA, latent_dim=LATENT, **options)


def test_plain_modules_make_a_model_that_is_trained_and_used() -> None:
    encoder, decoder = plain_encoder(), plain_decoder()
    model = make(encoder=vaezoo.wrap(encoder), decoder=vaezoo.wrap(decoder))
    x = torch.rand(40, *DATA)
    before = [parameter.clone() for parameter in (*encoder.parameters(), *decoder.parameters())]
    vaezoo.fit(model, x, steps=3, batch_size=8, progress=False)
    after = [*encoder.parameters(), *decoder.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(3).shape == (3, *DATA)
    assert model(x, samples=2).log_w.shape == (2, 40)


def test_the_first_half_is_the_mean_and_the_second_log_sigma() -> None:
    encoder, decoder = plain_encoder(), plain_decoder()
    model = make(encoder=vaezoo.wrap(encoder), decoder=vaezoo.wrap(decoder))
    x, z = torch.rand(3, *DATA), torch.randn(3, LATENT)
    mean, log_sigma = encoder(x).chunk(2, dim=1)
    assert torch.equal(model.encode(x).mean, mean)
    assert torch.allclose(model.encode(x).stddev, log_sigma.exp(), rtol=1e-3)
    logits = decoder(z).reshape(3, *DATA)
    assert torch.equal(model.decode(z).base_dist.logits, logits)


def test_features_of_any_width_get_a_linear_layer() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 7, 3), nn.AdaptiveAvgPool2d(1))  # (B, 7, 1, 1)
    model = make(encoder=vaezoo.wrap(backbone, features=7))
    assert model.encoder.network.inner.last.in_features == 7
    assert model.embed(torch.rand(3, *DATA)).shape == (3, LATENT)
    sigma = {"name": "gaussian", "sigma": "predicted"}
    model = make(decoder=vaezoo.wrap(plain_decoder(11), features=11), likelihood=sigma)
    assert model.sample(3).shape == (3, *DATA)


def test_the_other_parts_are_those_that_are_chosen() -> None:
    encoder = vaezoo.wrap(plain_encoder())
    network = {"name": "mlp", "hidden": [3]}
    model = make("beta-vae", encoder=encoder, network=network, prior="mixture", beta=2.0)
    assert model.config.parts["network"]["hidden"] == [3]
    assert model.config.parts["encoder"] is None


def test_a_spatial_code_reaches_modules_as_it_is() -> None:
    encoder = nn.Conv2d(1, 2 * 3, 3, padding=1)
    decoder = nn.Conv2d(3, 1, 3, padding=1)
    parts = {"encoder": vaezoo.wrap(encoder), "decoder": vaezoo.wrap(decoder)}
    model = vaezoo.create("vae", input_shape=DATA, latent_shape=(3, 6, 5), **parts)
    assert model(torch.rand(2, *DATA), samples=4).sites[0].z.shape == (4, 2, 3, 6, 5)
    assert model.sample(3).shape == (3, *DATA)


def test_a_second_argument_gets_the_labels_one_hot() -> None:
    encoder, decoder = Conditional(30, 3, 2 * LATENT), Conditional(LATENT, 3, 30)
    parts = {"encoder": vaezoo.wrap(encoder), "decoder": vaezoo.wrap(decoder)}
    model = make("cvae", num_classes=3, **parts)
    x, y = torch.rand(2, *DATA), torch.tensor([2, 0])
    one_hot = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert torch.equal(model.encode(x, y).mean, encoder(x, one_hot)[:, :LATENT])
    z = torch.randn(5, 2, LATENT)
    expected = decoder(z[3], one_hot).reshape(2, *DATA)
    assert torch.allclose(model.decode(z, y).base_dist.logits[3], expected, atol=1e-6)


def test_a_module_of_one_argument_goes_without_the_labels() -> None:
    model = make("cvae", num_classes=3, encoder=vaezoo.wrap(plain_encoder()))
    assert model.encoder.num_classes is None
    assert model.decoder.num_classes == 3


def test_lazy_layers_learn_their_widths_and_running_means_stay() -> None:
    norm = nn.BatchNorm1d(9)
    encoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(9), norm, nn.LazyLinear(2 * LATENT))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    vaezoo.wrap(nn.Dropout()).fitted("encoder", (3,), (3,), 0)
    assert torch.equal(torch.get_rng_state(), state)
    model = make(encoder=vaezoo.wrap(encoder))
    assert encoder[1].in_features == 30
    assert norm.num_batches_tracked == 0
    assert encoder.training
    assert model.embed(torch.rand(3, *DATA)).shape == (3, LATENT)


def test_it_is_saved_and_loaded_into_a_model_of_the_same_modules(tmp_path: Path) -> None:
    def mine() -> vaezoo.VAE:
        encoder, decoder = plain_encoder(7), plain_decoder()
        return make(encoder=vaezoo.wrap(encoder, features=7), decoder=vaezoo.wrap(decoder))

    model = mine()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    vaezoo.save(model, tmp_path)
    assert "into=model" in (tmp_path / "README.md").read_text()
    with pytest.raises(vaezoo.CheckpointError, match=r"encoder, decoder was.*into=model"):
        vaezoo.load(tmp_path)
    loaded = vaezoo.load(tmp_path, into=mine())
    x = torch.rand(3, *DATA)
    assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    other = make(encoder=vaezoo.wrap(plain_encoder()), decoder=vaezoo.wrap(plain_decoder()))
    with pytest.raises(vaezoo.CheckpointError, match="does not fit its model"):
        vaezoo.load(tmp_path, into=other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": plain_encoder()}, "is passed as encoder=vaezoo.wrap(network)"),
        ({"decoder": plain_decoder()}, "called with (z, y) and returns a torch Distribution"),
        ({"network": plain_encoder()}, "encoder=vaezoo.wrap(...) and decoder=vaezoo.wrap(...)"),
        ({"encoder": vaezoo.wrap(plain_encoder(7))},
         "returns (B, 7) for (B, 1, 6, 5), but for means and log σ of the code it must return "
         "(B, 8): change its last layer, or pass wrap(network, features=7)"),
        ({"decoder": vaezoo.wrap(plain_decoder(29))},
         "returns (B, 29) for (B, 4), but for the likelihood it must return (B, 1, 6, 5)"),
        ({"encoder": vaezoo.wrap(plain_encoder(7), features=6)}, "say features=7"),
        ({"encoder": vaezoo.wrap(nn.Linear(31, 8))}, "fails on (B, 1, 6, 5) (RuntimeError: "),
        ({"encoder": vaezoo.wrap(TwoOutputs())}, "torch.cat([mean, log_variance / 2], dim=1)"),
        ({"encoder": vaezoo.wrap(nn.Flatten(0))}, "returns (60,) for 2 examples"),
        ({"encoder": vaezoo.wrap(Conditional(30, 3, 8))}, "a conditional variant, such as cvae"),
        ({"encoder": vaezoo.wrap(vaezoo.create("vae").encoder), "input_shape": (1, 28, 28)},
         "returns a distribution: pass encoder=network, without wrap"),
    ],
)  # fmt: skip
def test_mistakes_get_one_clear_error(options: dict[str, Any], message: str) -> None:
    options = {"input_shape": DATA, "latent_dim": LATENT, **options}
    with pytest.raises(vaezoo.OptionError) as caught:
        vaezoo.create("vae", **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrap_takes_modules_once() -> None:
    with pytest.raises(vaezoo.OptionError, match=r"a torch\.nn\.Module, not function"):
        vaezoo.wrap(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(vaezoo.OptionError, match="wrapped already"):
        vaezoo.wrap(vaezoo.wrap(plain_encoder()))
    with pytest.raises(vaezoo.OptionError, match="features must be positive"):
        vaezoo.wrap(plain_encoder(), features=0)


def test_a_wrapped_network_alone_is_no_encoder() -> None:
    model = vaezoo.VAE(
        vaezoo.wrap(plain_encoder()), plain_decoder(), vaezoo.priors.StandardNormal((LATENT,))
    )
    with pytest.raises(vaezoo.OptionError, match=r"vaezoo\.NetworkEncoder"):
        model(torch.rand(2, *DATA))


def test_an_encoder_that_returns_tensors_unwrapped_is_named_before_training() -> None:
    model = make("cvae", num_classes=3, encoder=Conditional(30, 3, 8))
    data = torch.rand(40, *DATA), torch.arange(40) % 3
    with pytest.raises(vaezoo.DataError, match=r"vaezoo\.wrap"):
        vaezoo.fit(model, data, steps=1, progress=False)
