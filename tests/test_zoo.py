"""create and describe: names, options and parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.registry.specs import VariantSpec


def test_the_first_variants_are_there() -> None:
    assert {"vae", "beta-vae", "cvae"} <= set(vaezoo.list_variants())
    assert vaezoo.list_variants("beta*") == ["beta-tc-vae", "beta-vae"]


def test_defaults_are_sensible() -> None:
    model = vaezoo.create("beta-vae")
    assert model.input_shape == (1, 28, 28)
    assert model.latent_dim == 16


def test_networks_are_chosen_by_the_size_of_the_images() -> None:
    def network(shape: tuple[int, ...]) -> str:
        return vaezoo.create("vae", input_shape=shape).config.parts["network"]["name"]

    assert network((1, 28, 28)) == "mlp"
    assert network((3, 32, 32)) == "conv"
    assert network((30,)) == "mlp"


@pytest.mark.parametrize(
    "network",
    [
        {"name": "mlp", "hidden": [7]},
        vaezoo.networks.MLP(hidden=(7,)),
    ],
)
def test_parts_are_chosen_by_name_or_by_options(network: Any) -> None:
    model = vaezoo.create("vae", network=network)
    assert model.config.parts["network"]["hidden"] == [7]
    assert model.encoder.network.inner.layers[0].out_features == 7


def test_vectors_work_as_well_as_images() -> None:
    model = vaezoo.create("vae", input_shape=(30,), likelihood="gaussian")
    x = torch.randn(5, 30)
    assert model.reconstruct(x).shape == (5, 30)
    assert model.log_likelihood(x, samples=3).shape == (5,)


class MyEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(784, 6)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return normal(self.linear(x.flatten(1)), torch.ones(6), 1)


class MyDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 784)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return normal(self.linear(z).unflatten(-1, (1, 28, 28)), torch.ones(()), 3)


def test_parts_may_be_modules_of_ones_own() -> None:
    model = vaezoo.create("vae", encoder=MyEncoder(), decoder=MyDecoder(), latent_dim=6)
    x = torch.rand(3, 1, 28, 28)
    assert model(x, samples=4).log_w.shape == (4, 3)
    assert model.reconstruct(x).shape == x.shape
    assert model.config.parts["encoder"] is None


def test_a_model_needs_no_registry() -> None:
    prior = vaezoo.priors.StandardNormal((6,))
    model = vaezoo.VAE(MyEncoder(), MyDecoder(), prior, objective=vaezoo.ELBO(beta=1.0))
    history = vaezoo.fit(model, torch.rand(40, 1, 28, 28), steps=3, batch_size=8, progress=False)
    assert len(history.column("elbo")) == 3


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("beta-va", {}, vaezoo.UnknownVariantError, "Did you mean 'beta-vae'?"),
        ("beta-va", {}, LookupError, "Did you mean 'beta-vae'? Available: "),
        ("beta-vae", {"bta": 1.0}, ValueError, "Did you mean 'beta'?"),
        ("beta-vae", {"beta": "four"}, ValueError, "must be float"),
        ("beta-vae", {"beta": -1.0}, ValueError, "must not be negative"),
        ("vae", {"network": "cnv"}, ValueError, "unknown network 'cnv'. Did you mean 'conv'?"),
        ("vae", {"likelihood": "bernouli"}, ValueError, "Did you mean 'bernoulli'?"),
        ("vae", {"prior": "normal"}, ValueError, "autoregressive, class-normal, flow, mixture, standard-normal"),
        ("vae", {"network": {"name": "mlp", "hiden": [3]}}, ValueError, "Did you mean 'hidden'?"),
        ("vae", {"network": {"hidden": [3]}}, ValueError, "needs a name"),
        ("vae", {"network": 3}, ValueError, "by name or by its options"),
        ("vae", {"encoder": "mlp"}, ValueError, "network=..."),
        ("vae", {"input_shape": (0, 3)}, ValueError, "input_shape"),
        ("vae", {"input_shape": 784}, ValueError, "input_shape"),
        ("vae", {"latent_dim": 0}, ValueError, "latent_dim must be positive"),
        ("cvae", {}, ValueError, "num_classes, how many there are"),
        ("cvae", {"num_classes": 1}, ValueError, "at least 2"),
        ("vae", {"num_classes": 10}, ValueError, "makes no use of num_classes"),
        ("vae", {"encoder": MyEncoder(), "decoder": MyDecoder(), "network": "mlp"},
         ValueError, "makes no use of network"),
        ("vae", {"latent_dim": 4, "latent_shape": (4,)}, ValueError, "latent_dim or latent_shape"),
        ("vae", {"latent_shape": (4, 0)}, ValueError, "positive sizes"),
        ("vae", {"samples": 0}, ValueError, "samples must be"),
        ("vae", {"warmup_period": 30}, ValueError, "needs warmup_steps"),
        ("cvae", {"num_classes": 3, "beta": -1.0}, ValueError, "must not be negative"),
        ("beta-vae", {"beta": float("inf")}, ValueError, "finite"),
    ],
)  # fmt: skip
def test_mistakes_get_one_clear_error(
    name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        vaezoo.create(name, **options)
    assert message in str(caught.value)
    assert isinstance(caught.value, vaezoo.VaezooError)
    assert "\n" not in str(caught.value)


def test_describe_tells_all_there_is_to_know() -> None:
    description = vaezoo.describe("beta-vae")
    options = {option.name: option for option in description.options}
    assert options["beta"].default == 4.0
    assert "nats" in options["beta"].help
    assert {"latent_dim", "network", "prior"} <= {option.name for option in description.shared}
    assert "Higgins" in description.paper
    assert description.distribution == "vaezoo"
    assert vaezoo.describe("mlp").kind == "network"
    with pytest.raises(vaezoo.UnknownVariantError, match="Did you mean 'beta-vae'"):
        vaezoo.describe("betavae")


def test_every_option_of_every_spec_is_documented() -> None:
    from vaezoo.registry import lookup
    from vaezoo.registry.specs import SPECS

    for kind in SPECS:
        for spec, _ in lookup.specs(kind):
            description = vaezoo.describe(spec.name)
            assert description.summary, spec.name
            undocumented = [o.name for o in description.options if not o.help]
            assert not undocumented, f"{spec.name}: {undocumented}"


def test_every_variant_cites_its_paper() -> None:
    from vaezoo.registry import lookup

    for spec, _ in lookup.specs(VariantSpec):
        assert any(character.isdigit() for character in spec.paper), spec.name


def test_a_conditional_prior_starts_as_the_standard_one_and_is_learned() -> None:
    model = vaezoo.create("cvae", num_classes=3, learned_prior=True, latent_dim=4)
    p = model.prior(torch.tensor([0, 2]))
    assert p.batch_shape == (2,)
    assert torch.equal(p.mean, torch.zeros(2, 4))
    model.objective.score(
        model(torch.rand(2, 1, 28, 28), torch.tensor([0, 2])),
        model.objective.weights(torch.tensor(0)),
    ).loss.mean().backward()
    gradient = model.prior.loc.grad.abs().sum(1)
    assert gradient[0] > 0
    assert gradient[1] == 0  # class 1 was not in the batch


def test_a_mistyped_shared_option_gets_its_nearest_match() -> None:
    with pytest.raises(vaezoo.OptionError, match="Did you mean 'latent_dim'"):
        vaezoo.create("vae", latentdim=3)


def test_what_is_offered_comes_after_the_choices_and_the_variants_own_and_may_be_left_aside() -> (
    None
):
    offered = {"latent_shape": (2, 8, 8), "network": "resnet", "likelihood": "laplace"}
    shape = (1, 32, 32)
    model = vaezoo.create("vae", input_shape=shape, offered={**offered, "num_classes": 3})
    assert model.config.shared == {"input_shape": [1, 32, 32], "latent_shape": [2, 8, 8]}
    assert model.config.parts["network"]["name"] == "resnet"
    assert model.config.parts["likelihood"]["name"] == "laplace"
    chosen = vaezoo.create(
        "vae",
        input_shape=shape,
        latent_dim=3,
        network="mlp",
        likelihood="bernoulli",
        offered=offered,
    )
    assert chosen.config.shared["latent_dim"] == 3
    assert chosen.config.parts["network"]["name"] == "mlp"
    assert chosen.config.parts["likelihood"]["name"] == "bernoulli"
    own = vaezoo.create("sigma-vae", input_shape=shape, offered=offered)
    assert own.config.parts["likelihood"]["name"] == "gaussian"
    with pytest.raises(vaezoo.OptionError, match="Did you mean 'network'"):
        vaezoo.create("vae", offered={"networks": "mlp"})
