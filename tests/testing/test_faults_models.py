"""The kit finds what is wrong with a model, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Fails = Callable[..., Any]


def in_forward(statement: str) -> str:
    """A model that does this before its forward."""
    return f"""
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                {statement}
                return super().forward(x, y, samples)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """


def test_a_tensor_as_a_plain_attribute(fails: Fails) -> None:
    source = """
        class Plain(VAE):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.scales = {"z": torch.ones(5)}

        def recipe(options: Options, parts):
            return made(parts, Plain)
    """
    fails("devices", "the plain tensor model.scales['z'] of shape (5,)", source)


def test_a_module_that_nothing_registers(fails: Fails) -> None:
    source = """
        class Hidden(VAE):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.extra = vaezoo.Borrowed(nn.Linear(2, 2))

        def recipe(options: Options, parts):
            return made(parts, Hidden)
    """
    fails("devices", "model.extra.module, a Linear that is neither moved nor saved", source)


def test_a_tensor_made_on_the_cpu_in_forward(fails: Fails) -> None:
    fails("devices", "make it with device=x.device", in_forward("x = x * torch.ones(20)"))


def test_a_precision_by_name(fails: Fails) -> None:
    source = """
        class Single(nn.Module):
            num_classes = None

            def __init__(self, encoder):
                super().__init__()
                self.inner = encoder

            def forward(self, x, y=None):
                q = self.inner(x, y).base_dist
                return vaezoo.heads.gaussian.normal(q.loc.float(), q.scale.float(), 1)

        def recipe(options: Options, parts):
            return VAE(Single(parts.encoder()), parts.decoder(), parts.prior())
    """
    fails("devices", "must have the same dtype", source)


def test_arguments_mutated_in_forward(fails: Fails) -> None:
    fails("arguments", "x as it was before the model's forward", in_forward("x.mul_(0.5)"))


def test_the_k_axis_in_the_wrong_place(fails: Fails) -> None:
    source = """
        class Swapped(VAE):
            def forward(self, x, y=None, samples=1):
                q = self.encoder(x, y)
                z = q.rsample((samples,)).transpose(0, 1)
                return Trace(x, self.decoder(z, y), (Site(q, self.prior(y), z),))

        def recipe(options: Options, parts):
            return made(parts, Swapped)
    """
    fails("trace", "the axes K and B are swapped", source)


def test_a_likelihood_that_takes_pixels_for_examples(fails: Fails) -> None:
    source = """
        class Pixels(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                return Trace(x, trace.px.base_dist, trace.sites)

        def recipe(options: Options, parts):
            return made(parts, Pixels)
    """
    fails("trace", "one density for a whole example", source)


def test_a_trace_of_another_bound_than_the_model(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                return Trace(x, trace.px, trace.sites)

        def recipe(options: Options, parts):
            return made(parts, Model, bound="relaxed")
    """
    fails("trace", "a Trace with the model's own bound, 'relaxed'", source)


def test_several_sites_whose_forward_knows_no_means(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                q, p = self.encoder(x, y), self.prior(y)
                z = q.rsample((samples,))
                sites = Site(q, p, z), Site(q, p, q.rsample((samples,)), name="other")
                return Trace(x, self.decoder(z, y), sites)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("embedding", "must draw by vaezoo.draw(q, samples)", source)


def test_an_exception_is_traced_to_the_authors_line(fails: Fails) -> None:
    error = fails("trace", "ZeroDivisionError", in_forward("samples / 0"))
    assert "samples / 0" in error.failures[0].look


def test_vectors_that_break_instead_of_being_refused(fails: Fails) -> None:
    fails("trace", "in forward: assert x.ndim == 4", in_forward("assert x.ndim == 4"))


def test_a_generator_seeded_in_forward(fails: Fails) -> None:
    fails("seeds", "it was seeded inside", in_forward("torch.manual_seed(0)"))


def test_a_generator_seeded_where_the_model_is_made(fails: Fails) -> None:
    source = """
        def recipe(options: Options, parts):
            torch.manual_seed(0)
            return made(parts)
    """
    error = fails("seeds", "other parameters under another seed", source)
    assert "torch.manual_seed" in str(error)


def test_noise_from_another_generator(fails: Fails) -> None:
    source = in_forward("import numpy; x = x + float(numpy.random.rand())")
    fails("seeds", "the same loss under the same seed", source)


def test_a_method_that_leaves_another_mode(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def reconstruct(self, x, y=None):
                self.eval()
                return super().reconstruct(x, y)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("methods", "the mode it was in before reconstruct()", source)


def test_an_embedding_that_is_drawn(fails: Fails) -> None:
    source = """
        class Model(VAE):
            @torch.no_grad()
            def embed(self, x, y=None):
                return self.encoder(x, y).sample()

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("embedding", "not a sample", source)


def test_samples_that_do_not_differ(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def sample(self, n, y=None, seed=None):
                return super().sample(1, y, seed).expand(n, -1, -1, -1)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("samples", "9 samples that differ", source)


def test_state_that_is_not_saved(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.register_buffer("shift", torch.zeros(()), persistent=False)

            def after_step(self, state):
                self.shift += 1

            def embed(self, x, y=None):
                return super().embed(x, y) + self.shift

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("saving", "embed() as before saving", source)


def test_a_tensor_that_a_state_dict_hides(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def state_dict(self, *args, **kwargs):
                state = super().state_dict(*args, **kwargs)
                state.pop("decoder.network.inner.layers.0.bias")
                return state

            def load_state_dict(self, state, strict=True):
                return super().load_state_dict(state, strict=False)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("saving", "as before saving", source)


@pytest.mark.parametrize("strict", [False, True])
def test_a_load_that_is_not_strict(fails: Fails, strict: bool) -> None:
    source = f"""
        class Model(VAE):
            def load_state_dict(self, state, strict=True, assign=False):
                known = {{name: state.get(name, own) for name, own in self.state_dict().items()}}
                return super().load_state_dict(known if {strict} else state, {strict})

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    error = fails("saving", "loading is not strict", source)
    assert "a RuntimeError from a state that has one tensor too many" in str(error)
    assert "load_state_dict of Model" in error.failures[0].look


def test_a_python_counter(fails: Fails) -> None:
    source = """
        class Counting(ELBO):
            steps = 0

            def regularizer(self, trace, weights):
                self.steps += 1
                return min(1.0, self.steps / 1000) * trace.kl

        def recipe(options: Options, parts):
            return made(parts, objective=Counting())
    """
    error = fails("compile", "at step 1, after the first had compiled", source)
    assert "self.steps" in str(error)


def test_a_branch_on_a_tensors_value(fails: Fails) -> None:
    source = in_forward("x = x if x.mean() > 0.5 else 1 - x")
    fails("compile", "at the first step", source)


def test_a_loss_that_is_another_when_compiled(fails: Fails) -> None:
    error = fails(
        "compile", "compiled, loss is", in_forward("x = x * torch.compiler.is_compiling()")
    )
    assert "as it is: with the same seed they are to be the same" in str(error)
