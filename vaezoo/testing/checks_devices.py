"""Whether every tensor follows the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vaezoo.batch import Batch
from vaezoo.parts import Borrowed
from vaezoo.testing.check import origin
from vaezoo.testing.report import expect, fail
from vaezoo.testing.subject import Subject, weights_of

DEPTH = 4  # of containers in an attribute


def devices(subject: Subject) -> None:
    """Every tensor follows .to(): it is a parameter or a buffer of the model or its objective,
    and what is made on the way is made on the device and in the precision of its neighbours."""
    model, objective = subject.model(), subject.model().objective
    objective = model.objective
    modules = {*model.modules(), *objective.modules()}
    for owner, root in {"model": model, "objective": objective}.items():
        for name, module in root.named_modules(prefix=owner):
            for attribute, value in vars(module).items():
                if attribute not in {"_parameters", "_buffers", "_modules"}:
                    _walk(value, f"{name}.{attribute}", modules)
    _double(subject)
    _meta(subject)


def _walk(value: object, path: str, modules: set[nn.Module], depth: int = 0) -> None:
    """Fail at a tensor that no module registers, or a module that is registered nowhere."""
    if isinstance(value, Tensor):
        fail(
            expected="tensors registered as parameters or buffers",
            found=f"the plain tensor {path} of shape {tuple(value.shape)}",
            look=f"self.{path.rpartition('.')[2]} = ...; use register_buffer or nn.Parameter",
        )
    if isinstance(value, nn.Module):
        expect(
            value in modules,
            expected="modules that the model or its objective registers",
            found=f"{path}, a {type(value).__name__} that is neither moved nor saved",
            look="assign it to its owner; hold it as Borrowed elsewhere",
        )
        return
    if depth < DEPTH:
        for key, item in _items(value):
            _walk(item, f"{path}{key}", modules, depth + 1)


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{i}]", item) for i, item in enumerate(value))
    elif isinstance(value, Distribution | Borrowed):
        yield from ((f".{name}", item) for name, item in vars(value).items())


def _double(subject: Subject) -> None:
    model, batch = subject.model(), subject.batch()
    model.to(torch.float64)
    model.objective.to(torch.float64)
    trace = model(batch.x.double(), batch.y, 2)
    tensors = {"px.mean": trace.px.mean, "log_px": trace.log_px, "kl": trace.kl}
    tensors |= {f"z of {site.name!r}": site.z for site in trace.sites}
    single = [name for name, value in tensors.items() if value.dtype != torch.float64]
    expect(
        not single,
        expected="float64 throughout after .to(torch.float64)",
        found=f"another precision in {', '.join(single)}",
        look="forward: dtypes by name, .float(); take that of a neighbour",
    )


def _meta(subject: Subject) -> None:
    model, batch = subject.model(), subject.batch()
    model.to("meta")
    model.objective.to("meta")
    meta = Batch(batch.x.to("meta"), *(v if v is None else v.to("meta") for v in batch[1:]))
    weights = {k: v.to("meta") for k, v in weights_of(model.objective).items()}
    Distribution.set_default_validate_args(True)  # which torch.compile leaves off
    for phase in model.objective.phases(model):
        try:
            with OneDevice():  # type: ignore[no-untyped-call]
                phase.loss(model, meta, weights)
        except RuntimeError as error:
            if ".item()" not in str(error):
                raise
            fail(
                expected="no question after a tensor's value, for which a GPU would have to wait",
                found=f"one in phase {phase.name!r}",
                look=f"{origin(error)}\n.item(), a branch on a tensor, or a distribution that "
                f"checks its arguments: pass validate_args=False to it and to all within it "
                f"(torch's StudentT makes a Chi2 that checks: a subclass can make another)",
            )


class OneDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses an operation on tensors of two devices, which meta tensors would let pass."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [v for v in tree_leaves((args, kwargs)) if isinstance(v, Tensor) and v.ndim]
        found = {tensor.device.type for tensor in tensors}
        if len(found) > 1 and "copy" not in str(func):
            raise RuntimeError(
                f"{func} of tensors on two devices, after .to('meta'): one was made on "
                f"{' and '.join(sorted(found - {'meta'}))}; make it with device=x.device"
            )
        return func(*args, **kwargs)
