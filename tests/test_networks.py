"""Networks and how they are folded around samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import vaezoo
from vaezoo.networks.conv import Conv, conv, halvings
from vaezoo.networks.mlp import MLP, mlp
from vaezoo.parts import Folded


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 28, 28), (3, 64, 64), (2, 12, 20), (1, 65, 41), (4, 5, 3)])
def test_conv_goes_down_and_up_again_at_any_size(size: tuple[int, int, int], patch: int) -> None:
    down = conv(Conv(patch=patch), input_shape=size, output_shape=(7,), direction="down")
    up = conv(Conv(patch=patch), input_shape=(5,), output_shape=size, direction="up")
    assert down(torch.rand(2, *size)).shape == (2, 7)
    assert up(torch.rand(2, 5)).shape == (2, *size)


@pytest.mark.parametrize(("size", "stages"), [(28, 2), (32, 3), (64, 4), (256, 6), (7, 0)])
def test_conv_halves_as_long_as_four_pixels_remain(size: int, stages: int) -> None:
    sizes = halvings((size, size + 3))
    assert len(sizes) - 1 == stages
    assert min(sizes[-1]) >= min(4, size)


@pytest.mark.parametrize("direction", ["down", "up"])
def test_every_pixel_counts_where_patches_reach_beyond_the_image(direction: str) -> None:
    size = (1, 9, 7)
    if direction == "down":
        x = torch.rand(1, *size, requires_grad=True)
        conv(Conv(patch=4), input_shape=size, output_shape=(2,))(x).sum().backward()
        assert x.grad is not None
        assert (x.grad != 0).all()
    else:
        z = torch.rand(2, 3)
        network = conv(Conv(patch=4), input_shape=(3,), output_shape=size, direction="up")
        a, b = network(z)
        assert (a != b).all()


def test_patches_make_the_map_smaller_before_any_halving() -> None:
    network = conv(Conv(channels=(8, 12, 16), patch=4), input_shape=(1, 64, 64), output_shape=(2,))
    kernels = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(8, 1, 4, 4), (12, 8, 4, 4), (16, 12, 4, 4)]  # 64 -> 16 -> 8 -> 4


@pytest.mark.parametrize("patch", [1, 4])
def test_group_norm_makes_conv_blind_to_the_size_of_its_features(patch: int) -> None:
    size = (1, 32, 32)
    options = Conv(channels=(8, 8, 8), patch=patch, norm="group")
    down = conv(options, input_shape=size, output_shape=(7,))
    x = torch.rand(2, *size)
    code = down(x)
    with torch.no_grad():
        first = next(m for m in down.modules() if isinstance(m, nn.Conv2d))
        first.weight *= 100
        if first.bias is not None:
            first.bias *= 100
    torch.testing.assert_close(down(x), code, rtol=1e-2, atol=1e-3)
    up = conv(options, input_shape=(5,), output_shape=size, direction="up")
    z = torch.rand(3, 5)
    torch.testing.assert_close(up(z)[:1], up(z[:1]))  # of one example, not of the batch


def test_conv_refuses_patches_without_pixels() -> None:
    with pytest.raises(vaezoo.OptionError, match="patch must be at least 1"):
        vaezoo.create("vae", network={"name": "conv", "patch": 0})


def test_conv_refuses_vectors() -> None:
    with pytest.raises(vaezoo.OptionError, match="network='mlp'"):
        vaezoo.create("vae", input_shape=(30,), network="conv")


def test_a_decoder_takes_the_widths_reversed() -> None:
    down = mlp(MLP(hidden=(9, 5)), input_shape=(2, 3), output_shape=(4,), direction="down")
    up = mlp(MLP(hidden=(9, 5)), input_shape=(4,), output_shape=(2, 3), direction="up")

    def widths(network: nn.Module) -> list[tuple[int, int]]:
        layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
        return [(layer.in_features, layer.out_features) for layer in layers]

    assert widths(down) == [(6, 9), (9, 5), (5, 4)]
    assert widths(up) == [(4, 5), (5, 9), (9, 6)]
    assert up(torch.rand(7, 4)).shape == (7, 2, 3)


def test_gated_layers_multiply_by_a_sigmoid() -> None:
    torch.manual_seed(0)
    network = mlp(MLP(hidden=(5,), gated=True), input_shape=(3,), output_shape=(2,))
    gated, last = network.layers
    x = torch.randn(4, 3)
    h, g = gated.linear(x).split(5, dim=1)
    assert torch.allclose(network(x), last(h * torch.sigmoid(g)))


def test_the_norm_comes_before_the_nonlinearity_and_after_a_gate() -> None:
    def layers(**options: Any) -> list[str]:
        network = mlp(MLP(hidden=(9,), **options), input_shape=(5,), output_shape=(2,))
        return [type(layer).__name__ for layer in network.layers]

    assert layers() == ["Linear", "ReLU", "Linear"]
    assert layers(norm="layer", dropout=0.1) == [
        "Linear",
        "LayerNorm",
        "ReLU",
        "Dropout",
        "Linear",
    ]
    assert layers(norm="layer", gated=True) == ["GatedLinear", "LayerNorm", "Linear"]


def test_dropout_is_for_training_alone() -> None:
    network = mlp(MLP(hidden=(50,), dropout=0.5), input_shape=(5,), output_shape=(2,))
    x = torch.randn(3, 5)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
    with pytest.raises(vaezoo.OptionError, match=r"dropout must lie in \[0, 1\)"):
        MLP(dropout=1.0)


def test_the_names_of_weights_that_were_saved_stay() -> None:
    network = mlp(MLP(hidden=(9, 7)), input_shape=(5,), output_shape=(2,))
    numbers = (0, 2, 4)
    names = [f"layers.{n}.{which}" for n in numbers for which in ("weight", "bias")]
    assert [*network.state_dict()] == names


def test_the_classic_network_has_its_number_of_parameters() -> None:
    model = vaezoo.create("vae", latent_dim=20)
    assert sum(p.numel() for p in model.parameters()) == 652_824


def test_no_network_ends_in_a_nonlinearity() -> None:
    for name in ("mlp", "conv"):
        model = vaezoo.create("vae", input_shape=(1, 32, 32), network=name)
        for part in (model.encoder, model.decoder):
            leaves = [m for m in part.network.modules() if not [*m.children()]]
            assert isinstance(leaves[-1], nn.Linear | nn.ConvTranspose2d)


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_context_reaches_the_output(name: str) -> None:
    spec = {"name": name}
    model = vaezoo.create("cvae", input_shape=(1, 12, 20), num_classes=6, network=spec)
    x, y = torch.rand(3, 1, 12, 20), torch.tensor([0, 3, 5])
    assert not torch.equal(model.encode(x, y).mean, model.encode(x, y.flip(0)).mean)
    z = torch.randn(3, 16)
    assert not torch.equal(model.decode(z, y).mean, model.decode(z, y.flip(0)).mean)


def test_folding_samples_gives_what_each_sample_gives_alone() -> None:
    network = mlp(MLP(), input_shape=(5,), output_shape=(2, 3), context_dim=4, direction="up")
    folded = Folded(network, event_ndim=1)
    z, context = torch.randn(6, 3, 5), torch.rand(3, 4)
    together = folded(z, context)
    assert together.shape == (6, 3, 2, 3)
    for k in range(6):
        assert torch.allclose(together[k], network(z[k], context), atol=1e-6)


def test_autocast_surrounds_the_network_only() -> None:
    seen = []

    class Spy(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = super().forward(x)
            seen.append(out.dtype)
            return out

    folded = Folded(Spy(5, 2), event_ndim=1)
    folded.autocast = torch.bfloat16
    assert folded(torch.randn(4, 3, 5)).dtype == torch.float32
    assert seen == [torch.bfloat16]


def test_widths_must_be_positive() -> None:
    with pytest.raises(vaezoo.OptionError, match="positive"):
        MLP(hidden=(5, 0))
    with pytest.raises(vaezoo.OptionError, match="positive"):
        vaezoo.create("vae", network={"name": "conv", "channels": [-1]})
