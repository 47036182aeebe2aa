"""The network resnet: any size, flat and spatial codes, nothing shared between examples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import vaezoo
import vaezoo.testing
from vaezoo.networks.layers import group_norm
from vaezoo.networks.resnet import ResidualBlock, ResNet, resnet, resolutions

SMALL = ResNet(channels=(8, 12, 16))


def noisy(network: nn.Module) -> nn.Module:
    """No parameter at the special value, zero, where blocks start."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize(
    "size",
    [(1, 28, 28), (3, 64, 48), (2, 12, 20), (1, 65, 41), (4, 5, 3), (1, 1, 1), (7, 2, 30)],
)
def test_it_goes_down_and_up_again_at_any_size(size: tuple[int, int, int]) -> None:
    down = resnet(SMALL, input_shape=size, output_shape=(5, 2), direction="down")
    up = resnet(SMALL, input_shape=(5, 2), output_shape=size, direction="up")
    assert down(torch.rand(3, *size)).shape == (3, 5, 2)
    assert up(torch.rand(3, 5, 2)).shape == (3, *size)


@pytest.mark.parametrize("code", [(13, 21), (7, 11), (4, 6), (2, 3), (1, 2), (1, 1)])
def test_a_spatial_code_stays_spatial(code: tuple[int, int]) -> None:
    image, latent = (2, 13, 21), (3, *code)
    down = resnet(SMALL, input_shape=image, output_shape=latent, direction="down")
    up = resnet(SMALL, input_shape=latent, output_shape=image, direction="up")
    assert down(torch.rand(4, *image)).shape == (4, *latent)
    assert up(torch.rand(4, *latent)).shape == (4, *image)
    for network in (down, up):
        assert not [m for m in network.modules() if isinstance(m, nn.Linear)]


def test_a_spatial_code_sees_what_lies_near_it() -> None:
    torch.manual_seed(0)
    # Without group norm, which looks at the whole image: the reach of the convolutions counts.
    network = resnet(SMALL, input_shape=(1, 64, 64), output_shape=(2, 16, 16)).eval()
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = lambda h: h  # type: ignore[method-assign]
    x = torch.zeros(2, 1, 64, 64)
    x[1, :, 4, 60] = 1.0
    changed = (network(x)[1] - network(x)[0]).abs().sum(0) > 1e-7
    rows, columns = changed.nonzero(as_tuple=True)
    assert rows.numel()
    assert rows.max() < 8
    assert columns.min() >= 8


def test_a_size_that_halving_does_not_reach_is_refused_with_those_that_it_does() -> None:
    with pytest.raises(vaezoo.OptionError) as caught:
        vaezoo.create("vae", network="resnet", input_shape=(3, 32, 28), latent_shape=(4, 8, 8))
    message = str(caught.value)
    assert "8x8 cannot be reached" in message
    assert "32x28, 16x14, 8x7, 4x4, 2x2, 1x1" in message


def test_flat_codes_are_made_where_at_least_four_pixels_remain() -> None:
    assert resolutions((28, 28), (16,)) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert resolutions((256, 256), (16,))[-1] == (4, 4)
    assert resolutions((7, 50), (16,))[-1] == (4, 25)
    assert resolutions((3, 50), (16,)) == [(3, 50)]


def test_the_default_is_small_even_for_large_images() -> None:
    with torch.device("meta"):
        model = vaezoo.create("vae", network="resnet", input_shape=(3, 256, 256), latent_dim=64)
    assert 1_000_000 < sum(p.numel() for p in model.parameters()) < 6_000_000


def test_channels_are_those_at_each_resolution_and_the_last_repeats() -> None:
    down = resnet(SMALL, input_shape=(1, 64, 64), output_shape=(3,), direction="down")
    up = resnet(SMALL, input_shape=(3,), output_shape=(1, 64, 64), direction="up")

    def widths(network: nn.Module) -> list[int]:
        blocks = [m for m in network.modules() if isinstance(m, ResidualBlock)]
        return [block.layers[2].in_channels for block in blocks]

    assert widths(down) == [8, 12, 16, 16, 16]
    assert widths(up) == [16, 16, 16, 12, 8]
    two = resnet(
        ResNet(channels=(8,), blocks=2), input_shape=(1, 8, 8), output_shape=(3,), direction="down"
    )
    assert widths(two) == [8, 8, 8, 8]


def test_a_block_starts_as_the_identity_and_is_learned() -> None:
    block = ResidualBlock(8, 2, nn.SiLU)
    x = torch.randn(3, 8, 5, 4)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.layers[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("channels", "groups", "expected"),
    [(32, 8, 8), (32, 100, 8), (64, 8, 8), (30, 8, 6), (8, 8, 2), (7, 8, 1), (13, 3, 1)],
)
def test_groups_divide_the_channels_and_hold_at_least_four(
    channels: int, groups: int, expected: int
) -> None:
    assert group_norm(channels, groups).num_groups == expected


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("code", [(6,), (3, 6, 10)])
def test_context_reaches_the_output(direction: Any, code: tuple[int, ...]) -> None:
    shapes = [(2, 12, 20), code]
    inputs, outputs = shapes if direction == "down" else shapes[::-1]
    network = resnet(
        SMALL, input_shape=inputs, output_shape=outputs, context_dim=5, direction=direction
    )
    noisy(network)
    x, context = torch.rand(3, *inputs), torch.eye(5)[:3]
    change = network(x, context) - network(x, context.flip(0))
    assert (change[0].abs() > 1e-6).all()
    # It does more than shift the output: how much changes, depends on x.
    other = network(x + 1, context) - network(x + 1, context.flip(0))
    assert not torch.allclose(change, other, atol=1e-3)


def test_examples_do_not_depend_on_each_other_in_training() -> None:
    network = noisy(resnet(SMALL, input_shape=(2, 12, 20), output_shape=(5,))).train()
    x = torch.rand(4, 2, 12, 20)
    assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-5)


@pytest.mark.parametrize("latent", [{"latent_dim": 3}, {"latent_shape": (2, 1, 1)}])
def test_every_parameter_gets_a_finite_gradient_at_the_smallest_widths(
    latent: dict[str, Any],
) -> None:
    torch.manual_seed(0)
    network = {"name": "resnet", "channels": [4]}
    model = vaezoo.create("vae", input_shape=(1, 6, 5), network=network, **latent)
    noisy(model)
    (-model(torch.rand(3, 1, 6, 5)).elbo.mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": []}, "at least one width, each at least 4"),
        ({"channels": [8, 2]}, "each at least 4"),
        ({"blocks": 0}, "blocks must lie in 1..64"),
        ({"blocks": 10**9}, "blocks must lie in 1..64"),
        ({"groups": 0}, "groups must lie in 1..256"),
        ({"groups": 10**12}, "groups must lie in 1..256"),
        ({"activation": "rlu"}, "Did you mean 'relu'"),
        ({"chanels": [8]}, "Did you mean 'channels'"),
    ],
)
def test_impossible_options_get_one_clear_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(vaezoo.OptionError) as caught:
        vaezoo.create("vae", network={"name": "resnet", **options})
    assert message in str(caught.value)


def test_it_refuses_vectors() -> None:
    with pytest.raises(vaezoo.OptionError, match="network='mlp'"):
        vaezoo.create("vae", input_shape=(30,), network="resnet")


def test_it_learns() -> None:
    torch.manual_seed(0)
    x = torch.zeros(64, 1, 8, 8)
    rows = torch.arange(64)
    x[rows, 0, rows % 8, :] = 1.0  # one bar in each image
    network = {"name": "resnet", "channels": [8]}
    model = vaezoo.create("vae", input_shape=(1, 8, 8), latent_dim=3, network=network)
    before = model.elbo(x, seed=0).mean()
    vaezoo.fit(model, x, steps=80, batch_size=16, learning_rate=1e-2, progress=False)
    assert model.elbo(x, seed=0).mean() > before / 3
    assert (model.reconstruct(x) - x).square().mean() < 0.05


WHOLE: dict[str, Any] = {
    "network": {"name": "resnet", "channels": [8]},
    "latent_shape": (2, 3, 5),
    "prior": {"name": "mixture", "components": 3},
}


def test_it_keeps_the_rules_of_the_kit_with_a_spatial_code_and_a_mixture() -> None:
    only = ["trace", "gradients", "batch", "methods", "embedding", "saving"]
    assert vaezoo.testing.check_variant("cvae", only=only, **WHOLE).passed == only


@pytest.mark.slow
def test_it_compiles_in_one_graph_with_a_spatial_code_and_a_mixture() -> None:
    only = ["import", "compile"]
    assert vaezoo.testing.check_variant("cvae", only=only, **WHOLE).passed == only


@pytest.mark.parametrize("code", [(6,), (3, 3, 4)])
def test_patches_are_read_and_written_at_once_also_beyond_the_image(code: tuple[int, ...]) -> None:
    options = ResNet(channels=(8, 12), patch=3)
    image = (2, 16, 20)  # 6 by 7 patches, then 3 by 4
    down = noisy(resnet(options, input_shape=image, output_shape=code, direction="down"))
    up = noisy(resnet(options, input_shape=code, output_shape=image, direction="up"))
    x = torch.rand(2, *image, requires_grad=True)
    z = down(x)
    assert z.shape == (2, *code)
    z.square().sum().backward()
    assert (x.grad != 0).all()  # every pixel counts
    decoded = up(torch.randn(2, *code))
    assert decoded.shape == x.shape
    assert decoded.std() > 0
    assert sum(isinstance(m, ResidualBlock) for m in down.modules()) == (
        2 if len(code) == 3 else 1
    )
    with pytest.raises(vaezoo.OptionError, match="from 6x7 on"):
        resnet(options, input_shape=image, output_shape=(3, 8, 10), direction="down")


def test_patches_hold_at_least_a_pixel() -> None:
    with pytest.raises(vaezoo.OptionError, match="patch must be at least 1 pixel, not 0"):
        ResNet(patch=0)
