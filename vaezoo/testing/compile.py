"""The child of the check ``compile``: python -m vaezoo.testing.compile NAME OPTIONS

Makes a variant in a process that has run nothing of it before, and compiles what the trainer
compiles: the gradient of each phase. OPTIONS are ``create``'s arguments as JSON. The last line of
the output is a report in JSON.
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import torch

from vaezoo.model import VAE
from vaezoo.objectives import Phase
from vaezoo.registry import lookup
from vaezoo.testing import importing
from vaezoo.testing.fresh import tail
from vaezoo.testing.settings import changes, settings
from vaezoo.testing.subject import Subject, weights_of
from vaezoo.training.gradient import Found, gradient_function

STEPS = 3  # the second would compile again if a Python number had changed


def main(name: str, options: str) -> None:
    subject = Subject(name, **json.loads(options))
    before, process, generators = settings(), importing.process_state(), random_states()
    lookup.recipe(subject.spec)
    drawn = [f"the state of {g}" for g, state in random_states().items() if state != generators[g]]
    model = subject.model()
    # Looked at now: torch.compile itself turns validation off.
    changed = [*changes(before), *importing.changed(process), *drawn]
    phases = {}
    for phase in model.objective.phases(model):
        phases[phase.name] = why_not(subject, model, phase) if phase.compile else ""
    sys.stdout.write("\n" + json.dumps({"phases": phases, "settings": changed}) + "\n")


def random_states() -> dict[str, str]:
    """Of the generators that a seed at the top of a module would set."""
    return {
        "numpy.random": str(np.random.get_state()),
        "torch's generator": str(torch.get_rng_state().tolist()),
    }


def why_not(subject: Subject, model: VAE, phase: Phase) -> str:
    """Why a phase does not compile in one graph that serves every step, or ""."""
    eager = gradient_function(phase, clip_norm=None)
    with (
        torch._dynamo.config.patch(trace_autograd_ops=True),
        torch._inductor.config.patch(fallback_random=True),  # draws as eager mode does
    ):
        fast = torch.compile(eager, backend="aot_eager", fullgraph=True, dynamic=False)
        try:
            for step in range(STEPS):
                batch, weights = subject.batch(seed=step), weights_of(model.objective, step)
                torch.manual_seed(step)
                with torch.compiler.set_stance("fail_on_recompile" if step else "default"):
                    compiled = fast(model, batch, weights)
                if not step:
                    torch.manual_seed(step)
                    if wrong := difference(compiled, eager(model, batch, weights)):
                        return wrong
                with torch.no_grad():
                    model.after_step(compiled.state)
        except Exception as error:  # whatever the compiler, or the variant, raises
            when = f"step {step}, after the first had compiled" if step else "the first step"
            return f"at {when}: {type(error).__name__}: {tail(str(error))}"
    return ""


def difference(compiled: Found, eager: Found) -> str:
    """In what the two are not the same, or ""."""
    figures = (*compiled.names, "the gradient's norm")
    for name, found, expected in zip(figures, compiled.row, eager.row, strict=False):
        if not torch.isclose(found, expected, rtol=1e-3, atol=1e-5, equal_nan=True):
            return (
                f"compiled, {name} is {found:.6g}, but {expected:.6g} as it is: with the same "
                f"seed they are to be the same"
            )
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # torch takes seconds to take itself down
