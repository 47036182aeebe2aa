"""What the hardware decides: the device, and what is worth while on it."""

from __future__ import annotations

import torch

from vaezoo.errors import OptionError, did_you_mean

COMPILE_PAYS = 2_000  # steps on CUDA, below which compiling takes longer than it saves
COMPILE_PAYS_CPU = 5_000_000  # examples on a CPU: about 5 microseconds of each are saved there
DEVICES = ("auto", "cpu", "cuda", "cuda:1", "mps")


def compiling_pays(device: str, steps: int | None, batch_size: int) -> bool:
    """Whether a run is so long that compiling its step saves more time than it takes.

    steps: None for a stream of unknown length. Measured in docs/performance.md.
    """
    if device == "cuda":
        return steps is None or steps >= COMPILE_PAYS
    return device == "cpu" and steps is not None and steps * batch_size >= COMPILE_PAYS_CPU


def fast_in_bf16(device: str, *, long: bool) -> bool:
    """Whether the hardware multiplies bf16 many times as fast as fp32.

    A short run on a CPU stays in fp32, as it stays eager: nothing is gained there.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not long:
        return False
    tell = getattr(torch.cpu, "get_capabilities", None)  # torch 2.11 has none
    return tell is not None and bool(tell().get("amx_bf16"))


def resolve_device(name: str) -> torch.device:
    """The device of that name, which must be there. Raises OptionError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        meant = name.replace("gpu", "cuda")  # near to cpu by its letters alone
        raise OptionError(f"unknown device {name!r}.{did_you_mean(meant, DEVICES)}") from error
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            has = [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["no CUDA GPU"]
            reason = f"torch finds {', '.join(has)} on this machine"
        raise OptionError(
            f"device {name!r} cannot be used: {reason}; 'auto' takes what there is, 'cpu' is "
            f"always there"
        ) from error
    return device
