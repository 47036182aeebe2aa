"""What the commands hold in memory does not grow with the number of examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 210, 1210
"""Images, of 12 KiB each, as floats 48 KiB; and 16 times as many rows, of half a KiB each."""
ALLOWED = 6.0
"""MiB: half of what the further images take as bytes."""
SCRIPT = """
import json, re, sys
from pathlib import Path
import numpy as np, safetensors.torch, torch, vaezoo
from PIL import Image
from vaezoo.cli import main

LINES = (
    "encode images {n}.d --out z.npz",
    "encode rows {n}.csv --out z.csv",
    "reconstruct images {n}.npy --out x.npz",
    "reconstruct images {n}.packed.npz --out x.npy",
    "reconstruct images {n}.safetensors --out x.safetensors",
    "decode images {n}.codes.npy --out x.npy",
    "sample images -n {n} --out x.npy",
    "score images {n}.npz --samples 1 --out s.csv",
)


def peak(line):
    Path("/proc/self/clear_refs").write_text("5")  # the peak is the present size
    flags = ["--batch-size", "20"] if "images" in line else []
    assert main([*line.split(), *flags, "--overwrite"]) == 0
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**10


few, many = map(int, sys.argv[1:])
torch.set_num_threads(1)
for name, shape in (("images", (3, 64, 64)), ("rows", (64,))):
    net = vaezoo.networks.MLP(hidden=(2,))
    how = {"likelihood": "gaussian"} if name == "rows" else {}
    model = vaezoo.create("vae", input_shape=shape, latent_dim=2, network=net, **how)
    vaezoo.save(model, name)
for n in (5, few, many):
    x = torch.zeros(n, 3, 64, 64, dtype=torch.uint8)
    np.save(f"{n}.npy", x)
    np.save(f"{n}.codes.npy", np.zeros((n, 2)))
    np.savez(f"{n}.npz", x=x)
    np.savez_compressed(f"{n}.packed.npz", x=x)
    safetensors.torch.save_file({"x": x}, f"{n}.safetensors")
    Path(f"{n}.d").mkdir()
    for i in range(n):
        Image.new("RGB", (64, 64)).save(f"{n}.d/{i}.bmp")
    row = ",".join(map(str, np.arange(64) % 7))
    Path(f"{n}.csv").write_text((row + "\\n") * 16 * n)
    del x
for line in LINES:  # what is imported by the first to need it
    peak(line.format(n=5))
peaks = {line: [peak(line.format(n=n)) for n in (few, many)] for line in LINES}
print(json.dumps(peaks))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_number_of_examples(tmp_path: Path) -> None:
    # malloc gives back what is freed, so that the peaks are those of what is held.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "100000"}
    command = [sys.executable, "-c", SCRIPT, str(FEW), str(MANY)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    peaks = json.loads(done.stdout.splitlines()[-1])
    grown = {line: round(many - few, 1) for line, (few, many) in peaks.items()}
    assert all(growth < ALLOWED for growth in grown.values()), grown
