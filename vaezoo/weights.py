"""Saving and loading models: safetensors and JSON, atomic, strict, never unpickled.

A saved model is a folder in the Hugging Face layout: ``model.safetensors``, ``config.json`` and
``README.md``. The weights file holds the config in its metadata too, so it loads alone, and it is
the one that counts: it is replaced in one step, with ``config.json`` absent meanwhile.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

import vaezoo
from vaezoo import provenance
from vaezoo.assembly import ModelConfig
from vaezoo.data.preprocessing import (
    Preprocessing,
    preprocessing_from_json,
    preprocessing_to_json,
)
from vaezoo.errors import CheckpointError, OptionError, PluginWarning, VaezooError
from vaezoo.files import dump_json, write_atomic
from vaezoo.model import VAE, check_is_model
from vaezoo.model_card import model_card
from vaezoo.tensor_files import checksum, ordered
from vaezoo.zoo import from_config

FORMAT = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
CHECKSUM = "sha256"  # of the tensors, in the metadata
RUN = ("metrics.jsonl", "checkpoints")  # what only a run's folder holds
KEY = "vaezoo"  # of the config within the weights file's metadata


def save(model: VAE, path: str | Path, *, figures: Mapping[str, float] | None = None) -> None:
    """Save a model to a folder, or to one file if ``path`` ends in ``.safetensors``.

    figures: what the model card reports, by name. The model's weights alone are saved, not its
    objective's. Other files in the folder are left alone. Equal models make equal bytes.

    Raises CheckpointError for the folder of a run, OSError if it cannot write.
    """
    check_is_model(model)
    path = Path(path)
    config = config_of(model)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    metadata = {"format": "pt", KEY: json.dumps(config), CHECKSUM: checksum(tensors)}
    # Clones, because safetensors refuses tensors that share memory (tied weights).
    data = ordered(safetensors.torch.save({k: t.clone() for k, t in tensors.items()}, metadata))
    if path.suffix == ".safetensors":
        write_atomic(path, data)
        return
    if any((path / mark).exists() for mark in RUN):
        raise CheckpointError(
            f"{path} holds a run, whose own config would be lost: save to another folder, or to "
            f"{path / 'model'} to replace the run's model"
        )
    path.mkdir(parents=True, exist_ok=True)
    (path / CONFIG).unlink(missing_ok=True)
    write_atomic(path / WEIGHTS, data)
    write_atomic(path / CARD, model_card(model, config, figures or {}))
    write_atomic(path / CONFIG, dump_json(config))


def config_of(model: VAE) -> dict[str, Any]:
    """What ``config.json`` holds."""
    head: dict[str, Any] = {"format": FORMAT, "vaezoo": vaezoo.__version__}
    config = model.config
    if model.preprocessing is not None:
        head["preprocessing"] = preprocessing_to_json(model.preprocessing)
    if model.classes:
        head["classes"] = [*model.classes]
    if config is None:
        return {**head, "variant": None}
    return {
        **head,
        "variant": config.variant,
        "options": dict(config.options),
        "shared": dict(config.shared),
        "parts": dict(config.parts),
        "plugin": dict(config.plugin),
        **({"part_plugins": dict(config.part_plugins)} if config.part_plugins else {}),
    }


def load(path: str | Path, device: str | torch.device = "cpu", into: VAE | None = None) -> VAE:
    """Load a model from its folder, its weights file, or a run's folder; in eval mode.

    into: a model of the user's own making, which takes the weights; needed where a part was a
    module of the user's own. Of its parts in ``fitted_later`` the file may hold nothing: these
    stay as they are. Nothing that the file names is imported: the variant must be one
    that an installed plugin provides. Raises CheckpointError for whatever does not fit. Warns
    with a PluginWarning where a plugin, or vaezoo, is another than the file was saved with, or
    its version in the first two numbers.
    """
    file = find_weights(path)
    config, tensors, digest = _read(file, device)
    _compare_with_folder(file, config)
    if into is None:
        parsed = parse_config(config, file)
        _check_shapes(parsed, tensors, file, _likely_cause(config))
        model = _rebuild(parsed, file, _likely_cause(config))
        dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
        if len(dtypes) == 1:
            model.to(dtypes.pop())
    else:
        check_format(config, file)
        model = into
    later = () if into is None else _absent(into.fitted_later, tensors)
    state = {n: t for n, t in model.state_dict().items() if not n.startswith(later)}
    _check_state(state, tensors, file, _likely_cause(config))
    if digest not in (None, checksum(tensors)):
        raise CheckpointError(
            f"{file} is damaged, or was changed by something else: its tensors are not those that "
            f"were saved"
        )
    preprocessing, classes = _preprocessing(config, file), _classes(config, file)
    if told := provenance.warning(config):
        warnings.warn(f"{file}: {told}", PluginWarning, stacklevel=2)
    model.to(device)
    model.load_state_dict(tensors, strict=not later)
    model.prepared, model.origin = True, str(file)
    model.preprocessing = preprocessing
    # Files from before they were recorded may have them in the preprocessing.
    classes = classes or getattr(preprocessing, "classes", ())
    model.classes = classes if len(classes) == model.num_classes else ()
    return model.eval()


def _absent(parts: tuple[str, ...], tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Of parts of a model, how the names of their state begin, if the file has none of it."""
    names = (f"{part}." for part in parts)
    return tuple(name for name in names if not any(t.startswith(name) for t in tensors))


def read_config(path: str | Path) -> ModelConfig:
    """What a saved model was made from. Raises CheckpointError, as ``load`` does."""
    file = find_weights(path)
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is no readable safetensors file: {error}") from error
    return parse_config(_config(metadata, file), file)


def find_weights(path: str | Path) -> Path:
    """The weights file that ``path`` means: itself, or that of a model's or a run's folder."""
    path = Path(path)
    candidates = [path] if path.is_file() else [path / WEIGHTS, path / "model" / WEIGHTS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    reason = "it holds no model.safetensors" if path.is_dir() else "it does not exist"
    raise CheckpointError(f"no saved model at {path}: {reason}")


def _read(
    file: Path, device: str | torch.device
) -> tuple[dict[str, Any], dict[str, Tensor], str | None]:
    """The config, the tensors, and what their checksum should be, if that is there."""
    try:
        with safetensors.safe_open(file, framework="pt", device=str(device)) as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file} is no readable safetensors file: {error}") from error
    return _config(metadata, file), tensors, metadata.get(CHECKSUM)


def _config(metadata: Mapping[str, str], file: Path) -> dict[str, Any]:
    if KEY not in metadata:
        raise CheckpointError(f"{file} was not written by vaezoo: its metadata lack {KEY!r}")
    return parse_json(metadata[KEY], f"the metadata of {file}")


def parse_json(text: str, where: str) -> dict[str, Any]:
    """A JSON object; CheckpointError for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} hold no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{where} hold no JSON object")
    return value


def _compare_with_folder(file: Path, config: dict[str, Any]) -> None:
    beside = file.parent / CONFIG
    if file.name != WEIGHTS or not beside.exists():
        return
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{beside} cannot be read: {error}") from error
    if parse_json(text, str(beside)) != config:
        raise CheckpointError(
            f"{beside} is not the config that {file.name} was saved with; "
            f"restore it, or delete it: the weights file holds its own copy"
        )


def check_format(config: Mapping[str, Any], file: Path) -> None:
    """Raise CheckpointError unless this version reads the format."""
    version = config.get("format")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"{file}: format {version!r} is none of vaezoo's")
    if version > FORMAT:
        raise CheckpointError(
            f"{file} was written by vaezoo {config.get('vaezoo')} in format {version}, newer "
            f"than this one's {FORMAT}: pip install --upgrade vaezoo"
        )


def parse_config(config: Mapping[str, Any], file: Path) -> ModelConfig:
    """The checked config of a model that can be made from it alone, by plugins that are here."""
    check_format(config, file)
    variant = config.get("variant")
    if variant is None:
        raise CheckpointError(
            f"{file} holds the weights of a model made of modules of your own: make it again "
            f"and pass it as load(..., into=model)"
        )
    mappings = {name: config.get(name) for name in ("options", "shared", "parts", "plugin")}
    mappings["part_plugins"] = config.get("part_plugins", {})
    wrong = [name for name, value in mappings.items() if not isinstance(value, dict)]
    if not isinstance(variant, str) or wrong:
        raise CheckpointError(f"{file}: the config is damaged at {', '.join(wrong) or 'variant'}")
    parsed = ModelConfig(variant=variant, **mappings)  # type: ignore[arg-type]
    if not parsed.rebuildable:
        own = ", ".join(name for name, part in parsed.parts.items() if part is None)
        raise CheckpointError(
            f"{file} holds a {variant!r} whose {own} was a module of your own: make the model "
            f"again and pass it as load(..., into=model)"
        )
    if why := provenance.missing(config):
        raise CheckpointError(f"{file} holds {why}")
    return parsed


def _preprocessing(config: Mapping[str, Any], file: Path) -> Preprocessing | None:
    """What the config records of it, if it does."""
    recorded = config.get("preprocessing")
    try:
        return None if recorded is None else preprocessing_from_json(recorded)
    except OptionError as error:
        raise CheckpointError(f"{file}: the config is damaged: {error}") from error


def _classes(config: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """The names of the classes, if the config records them."""
    names = config.get("classes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{file}: the config is damaged at classes")
    return tuple(names)


def _likely_cause(config: Mapping[str, Any]) -> str:
    """What to add to the error where a model does not fit: that it was saved with others."""
    told = provenance.differences(config, patches=True)
    return f". The likely cause: {told}" if told else ""


def _rebuild(config: ModelConfig, file: Path, cause: str) -> VAE:
    try:
        with torch.random.fork_rng(devices=[]):  # the initialisation is thrown away
            return from_config(config)
    except (VaezooError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        message = f"{file}: its model cannot be made again: {error}{cause}"
        raise CheckpointError(message) from error


def _check_shapes(
    config: ModelConfig, tensors: Mapping[str, Tensor], file: Path, cause: str
) -> None:
    """Hold the file against a model on the meta device, before memory is taken for a real one."""
    try:
        with torch.device("meta"):
            skeleton = from_config(config)
    except (VaezooError, RecursionError) as error:
        message = f"{file}: its model cannot be made again: {error}{cause}"
        raise CheckpointError(message) from error
    except Exception:  # a recipe that computes while it builds: the real model is checked later
        return
    _check_state(skeleton.state_dict(), tensors, file, cause)


def _check_state(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], file: Path, cause: str
) -> None:
    problems = [f"lacks {name}" for name in expected if name not in found]
    problems += [f"has an unexpected {name}" for name in found if name not in expected]
    problems += [
        f"has {name} of shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(
            f"{file} does not fit its model: it {', '.join(problems[:3])}{more}{cause}"
        )
