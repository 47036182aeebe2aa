"""Files of MNIST and FashionMNIST as torchvision reads them, small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vaezoo.data import vision

TRAIN, HELD_OUT, TEST = 300, 50, 60


def small_mnist(root: Path, patch: pytest.MonkeyPatch, kind: str = "MNIST") -> None:
    """Write them below ``root``: ten coarse patterns, a little noise, in turn."""
    folder = root / kind / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 2, (10, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    for name, n in (("train", TRAIN + HELD_OUT), ("t10k", TEST)):
        y = (np.arange(n) % 10).astype(np.uint8)
        x = (200 * patterns[y] + generator.integers(0, 50, (n, 28, 28))).astype(np.uint8)
        for part, values in (("images-idx3", x), ("labels-idx1", y)):
            head = [0x800 + values.ndim, *values.shape]
            content = np.array(head, dtype=">i4").tobytes() + values.tobytes()
            (folder / f"{name}-{part}-ubyte").write_bytes(content)
    split = vision._split
    held_out = {"held_out": HELD_OUT}  # instead of 10,000
    patch.setattr(vision, "_split", lambda *parts, **kw: split(*parts, **kw | held_out))
    patch.setenv("VAEZOO_DATA", str(root))
