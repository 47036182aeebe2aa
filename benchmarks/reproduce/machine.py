"""What a result was measured on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

import vaezoo


def machine() -> dict[str, Any]:
    """The device, the CPU, its threads, and the versions: for a result file."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "cpu": processor(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "vaezoo": vaezoo.__version__,
    }


def processor() -> str:
    """The CPU's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
