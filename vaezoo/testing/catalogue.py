"""The kit's checks, in the order in which they run: what the others rest on comes first."""

from __future__ import annotations

from vaezoo.testing.check import Check
from vaezoo.testing.checks_densities import densities
from vaezoo.testing.checks_devices import devices
from vaezoo.testing.checks_draws import draws
from vaezoo.testing.checks_files import saving
from vaezoo.testing.checks_latents import bound, kl, regularizer
from vaezoo.testing.checks_learning import overfits, phases
from vaezoo.testing.checks_loss import batch, loss
from vaezoo.testing.checks_methods import embedding, methods, samples
from vaezoo.testing.checks_options import config, create, options
from vaezoo.testing.checks_processes import compiles, imports
from vaezoo.testing.checks_seeds import globals_, seeds
from vaezoo.testing.checks_trace import arguments, gradients, trace

CHECKS: dict[str, Check] = {
    name: Check(name, function)
    for name, function in {
        "create": create,
        "options": options,
        "config": config,
        "import": imports,
        "trace": trace,
        "arguments": arguments,
        "gradients": gradients,
        "loss": loss,
        "batch": batch,
        "kl": kl,
        "regularizer": regularizer,
        "bound": bound,
        "draws": draws,
        "densities": densities,
        "seeds": seeds,
        "globals": globals_,
        "methods": methods,
        "embedding": embedding,
        "samples": samples,
        "saving": saving,
        "devices": devices,
        "phases": phases,
        "compile": compiles,
        "overfits": overfits,
    }.items()
}
"""All checks by name."""

FOUNDATIONS = ("create", "trace")
"""Where one of these fails, all after it do, for the same reason."""
