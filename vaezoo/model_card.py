"""The README.md of a saved model, as model hubs show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaezoo.model import VAE


def model_card(model: VAE, config: Mapping[str, Any], figures: Mapping[str, float]) -> str:
    """Markdown with the front matter that the Hugging Face hub reads."""
    variant = config["variant"] or "a model of its author's own modules"
    parameters = sum(p.numel() for p in model.parameters())
    plugin = config.get("plugin", {})
    rows = [
        ("variant", variant),
        ("input shape", str(model.input_shape or "see its author's code")),
        ("parameters", f"{parameters:,}"),
        ("written by", f"vaezoo {config['vaezoo']}"),
    ]
    if plugin:
        rows.append(("plugin", f"{plugin['distribution']} {plugin['version']}"))
    for part, other in config.get("part_plugins", {}).items():
        rows.append((f"{part}'s plugin", f"{other['distribution']} {other['version']}"))
    rows += [(name, f"{value:.4g}") for name, value in figures.items()]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    own = config["variant"] is None or None in config["parts"].values()
    into = ", into=model" if own else ""  # its modules are the author's own
    return f"""---
library_name: vaezoo
tags:
- vaezoo
- vae
---
# {variant}

Trained and saved with vaezoo, a zoo of variational autoencoders.

| | |
|---|---|
{table}

```python
import vaezoo

model = vaezoo.load("PATH/TO/THIS/FOLDER"{into})
```
"""
