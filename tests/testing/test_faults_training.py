"""The kit finds what keeps a model from learning, or a phase from its own, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fails = Callable[..., Any]


def test_a_sigmoid_in_the_network_before_the_bernoulli_head(fails: Fails) -> None:
    source = """
        def recipe(options: Options, parts):
            decoder = parts.decoder()
            decoder.network.inner = nn.Sequential(decoder.network.inner, nn.Sigmoid())
            return VAE(parts.encoder(), decoder, parts.prior())
    """
    fails("overfits", "is there a sigmoid in the network", source)


def test_a_parameter_without_gradient(fails: Fails) -> None:
    source = """
        class Unused(VAE):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.scale = nn.Parameter(torch.ones(()))

        def recipe(options: Options, parts):
            return made(parts, Unused)
    """
    fails("gradients", "none reaches model.scale", source)


def test_a_parameter_in_no_phase(fails: Fails) -> None:
    source = """
        class Partial(ELBO):
            def phases(self, model):
                return (Phase("decoder", self.loss, model.decoder.parameters()),)

        def recipe(options: Options, parts):
            return made(parts, objective=Partial())
    """
    fails("gradients", "in none: model.encoder", source)


def test_a_loss_that_is_not_finite(fails: Fails) -> None:
    source = """
        class Broken(ELBO):
            def regularizer(self, trace, weights):
                return weights["beta"] * trace.kl + (trace.kl * 0).log()

        def recipe(options: Options, parts):
            return made(parts, objective=Broken())
    """
    fails("gradients", "with finite values", source)


def test_a_critic_in_the_models_phase(fails: Fails) -> None:
    source = """
        class Leaking(ELBO):
            per_example = False

            def __init__(self):
                super().__init__()
                self.critic = nn.Linear(5, 1)

            def regularizer(self, trace, weights):
                return trace.kl + self.critic(trace.sites[0].z).squeeze(-1)

            def phases(self, model):
                return (Phase("all", self.loss, [*model.parameters(), *self.parameters()]),)

        def recipe(options: Options, parts):
            return made(parts, objective=Leaking())
    """
    error = fails("phases", "updates the model or a critic, not both", source)
    assert "objective.critic.bias" in str(error)


def test_a_phase_that_changes_parameters_itself(fails: Fails) -> None:
    source = """
        class Decaying(ELBO):
            def loss(self, model, batch, weights):
                with torch.no_grad():
                    for parameter in model.encoder.parameters():
                        parameter.mul_(0.99)
                return super().loss(model, batch, weights)

        def recipe(options: Options, parts):
            return made(parts, objective=Decaying())
    """
    fails("phases", "phase 'elbo' changed model.encoder", source)


CRITIC = """
        class Critical(ELBO):
            per_example = False

            def __init__(self):
                super().__init__()
                self.critic = nn.Linear(5, 1)

            def criticise(self, model, batch, weights):
                z = model(batch.x, batch.y).sites[0].z[0]
                loss = self.critic(z).squeeze(-1)
                {backward}
                return Terms(loss)

            def phases(self, model):
                critic = Phase("critic", self.criticise, {parameters})
                return (*super().phases(model), critic)

        def recipe(options: Options, parts):
            return made(parts, objective=Critical())
"""


def test_a_critic_that_leaks_into_the_encoder(fails: Fails) -> None:
    parameters = "[*self.critic.parameters(), *model.encoder.parameters()]"
    source = CRITIC.format(parameters=parameters, backward="")
    error = fails("phases", "'critic' updates the model or a critic, not both", source)
    assert "objective.critic.weight" in str(error)
    assert "phases() of Critical" in error.failures[0].look


def test_a_critics_backward_that_leaks_into_the_encoder(fails: Fails) -> None:
    backward = "loss.mean().backward(retain_graph=True)"
    source = CRITIC.format(parameters="self.critic.parameters()", backward=backward)
    error = fails("phases", "'critic' gives gradients to its own parameters alone", source)
    assert "gradients of model.encoder" in str(error)
    assert "backward() inside the loss?" in error.failures[0].look
