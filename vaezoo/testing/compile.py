"""The child of the check ``compile``: python -m vaezoo.testing.compile NAME OPTIONS

Makes a variant in a process that has run nothing of it before, and compiles what the trainer
compiles: the score of each phase. OPTIONS are ``create``'s arguments as JSON. The last line of
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
from vaezoo.training.step import score_function

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
    score = torch.compile(
        score_function(phase), backend="aot_eager", fullgraph=True, dynamic=False
    )
    try:
        for step in range(STEPS):
            with torch.compiler.set_stance("fail_on_recompile" if step else "default"):
                weights = weights_of(model.objective, step)
                loss, _, _, state = score(model, subject.batch(seed=step), weights)
            torch.autograd.backward(loss, inputs=[*phase.parameters])
            with torch.no_grad():
                model.after_step({key: value.detach() for key, value in state.items()})
            for parameter in phase.parameters:
                parameter.grad = None
    except Exception as error:  # whatever the compiler, or the variant, raises
        when = "the first step" if step == 0 else f"step {step}, after the first had compiled"
        return f"at {when}: {type(error).__name__}: {tail(str(error))}"
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # torch takes seconds to take itself down
