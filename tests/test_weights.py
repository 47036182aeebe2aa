"""Saving and loading: atomic, strict, and safe against damaged and hostile files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

import vaezoo
from vaezoo import files, weights
from vaezoo.data import ImagePreprocessing

WEIGHTS = "model.safetensors"


def make(name: str = "vae", **options: Any) -> vaezoo.VAE:
    options = {"input_shape": (2, 6, 5), "latent_dim": 3, "network": "mlp", **options}
    return vaezoo.create(name, **options)


def outputs(model: vaezoo.VAE) -> list[Tensor]:
    torch.manual_seed(0)
    x = torch.rand(4, 2, 6, 5, dtype=next(model.parameters()).dtype)
    y = torch.tensor([0, 2, 1, 2]) if model.num_classes else None
    return [model.reconstruct(x, y), model.elbo(x, y, seed=1), model.sample(4, y, seed=2)]


def same_outputs(a: vaezoo.VAE, b: vaezoo.VAE) -> bool:
    return all(torch.equal(x, y) for x, y in zip(outputs(a), outputs(b), strict=True))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vae", {"likelihood": {"name": "gaussian", "sigma": "optimal"}}),
        ("vae", {"likelihood": {"name": "gaussian", "sigma": "fixed", "value": 0.3}}),
        ("beta-vae", {"beta": 2.5, "network": {"name": "conv", "channels": [4, 8]}}),
        ("cvae", {"num_classes": 3, "learned_prior": True}),
    ],
)
@pytest.mark.parametrize("where", ["model", "model.safetensors"])
def test_a_loaded_model_gives_the_same_outputs(
    tmp_path: Path, name: str, options: dict[str, Any], where: str
) -> None:
    model = make(name, **options)
    vaezoo.save(model, tmp_path / where)
    loaded = vaezoo.load(tmp_path / where)
    assert same_outputs(model, loaded)
    assert loaded.config == model.config
    assert not loaded.training


def test_outputs_are_the_same_in_a_new_process_bit_for_bit(tmp_path: Path) -> None:
    model = make("beta-vae")
    vaezoo.save(model, tmp_path / "model")
    script = (
        "import sys, torch, vaezoo, safetensors.torch\n"
        "model = vaezoo.load(sys.argv[1])\n"
        "torch.manual_seed(0)\n"
        "x = torch.rand(4, 2, 6, 5)\n"
        "out = [model.reconstruct(x), model.elbo(x, seed=1), model.sample(4, seed=2)]\n"
        "safetensors.torch.save_file({str(i): t for i, t in enumerate(out)}, sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "model"), str(tmp_path / "out")]
    subprocess.run(command, check=True)
    theirs = safetensors.torch.load_file(tmp_path / "out")
    assert all(torch.equal(ours, theirs[str(i)]) for i, ours in enumerate(outputs(model)))


def test_the_folder_has_the_layout_of_the_hub(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path / "model", figures={"test ELBO": -101.5})
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {WEIGHTS, "config.json", "README.md"}
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["format"] == 1
    assert config["variant"] == "vae"
    assert config["parts"]["network"]["name"] == "mlp"
    assert config["plugin"]["distribution"] == "vaezoo"
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: vaezoo")
    assert "-101.5" in card


def test_the_weights_file_alone_loads(tmp_path: Path) -> None:
    model = make()
    vaezoo.save(model, tmp_path / "model")
    alone = (tmp_path / "model" / WEIGHTS).rename(tmp_path / "elsewhere.safetensors")
    assert same_outputs(model, vaezoo.load(alone))


def test_precision_is_kept(tmp_path: Path) -> None:
    model = make().double()
    vaezoo.save(model, tmp_path / "m.safetensors")
    assert same_outputs(model, vaezoo.load(tmp_path / "m.safetensors"))


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path / "model")
    state = torch.get_rng_state()
    vaezoo.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), state)


def test_the_objectives_weights_are_not_exported(tmp_path: Path) -> None:
    model = make()
    model.objective.critic = torch.nn.Linear(2, 2)
    vaezoo.save(model, tmp_path / "model")
    with safetensors.safe_open(tmp_path / "model" / WEIGHTS, framework="pt") as opened:
        assert not [name for name in opened.keys() if "critic" in name]  # noqa: SIM118


def test_a_borrowed_module_is_saved_once(tmp_path: Path) -> None:
    model = make()
    model.prior.borrowed = vaezoo.Borrowed(model.encoder)
    vaezoo.save(model, tmp_path / "model")
    assert same_outputs(model, vaezoo.load(tmp_path / "model"))


# Models of the user's own modules.


def own_model() -> vaezoo.VAE:
    donor = make()
    return vaezoo.VAE(donor.encoder, donor.decoder, donor.prior)


def test_a_model_of_ones_own_loads_into_another(tmp_path: Path) -> None:
    model, other = own_model(), own_model()
    vaezoo.save(model, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["variant"] is None
    assert vaezoo.load(tmp_path / "model", into=other) is other
    assert same_outputs(model, other)


def test_without_it_the_error_says_what_to_do(tmp_path: Path) -> None:
    vaezoo.save(own_model(), tmp_path / "model")
    with pytest.raises(vaezoo.CheckpointError, match="into=model"):
        vaezoo.load(tmp_path / "model")
    vaezoo.save(make(encoder=make().encoder), tmp_path / "part")
    with pytest.raises(vaezoo.CheckpointError, match=r"encoder was a module of your own.*into="):
        vaezoo.load(tmp_path / "part")


def test_into_is_as_strict(tmp_path: Path) -> None:
    vaezoo.save(own_model(), tmp_path / "model")
    with pytest.raises(vaezoo.CheckpointError, match="shape"):
        vaezoo.load(tmp_path / "model", into=make(latent_dim=4))


# Atomic writing.


def test_a_crash_while_saving_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make(), make("beta-vae")
    original = files.write_atomic
    for survivor, crashing in ((old, WEIGHTS), (new, "README.md"), (new, "config.json")):
        vaezoo.save(old, tmp_path / "model")

        def crash(path: Path, content: bytes | str, name: str = crashing) -> None:
            if path.name == name:
                raise OSError("disk full")
            original(path, content)

        with monkeypatch.context() as patch:
            patch.setattr("vaezoo.weights.write_atomic", crash)
            with pytest.raises(OSError, match="disk full"):
                vaezoo.save(new, tmp_path / "model")
        assert same_outputs(survivor, vaezoo.load(tmp_path / "model"))


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    files.write_atomic(target, "old")

    def crash(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    vaezoo.save(make(), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


# Damaged and hostile files.


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> None:
    """Change a saved model's config and tensors, consistently in both files."""
    with safetensors.safe_open(path / WEIGHTS, framework="pt") as opened:
        metadata = opened.metadata()
    config, tensors = json.loads(metadata["vaezoo"]), safetensors.torch.load_file(path / WEIGHTS)
    change(config, tensors)
    metadata["vaezoo"] = json.dumps(config)
    safetensors.torch.save_file(tensors, path / WEIGHTS, metadata)
    (path / "config.json").write_text(json.dumps(config))


def set_path(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        config = config[key]
    config[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, "newer"),
        ("format", "1", "format"),
        ("format", None, "format"),
        ("variant", "vea", "pip install --upgrade vaezoo"),
        ("variant", 3, "damaged at variant"),
        ("variant", None, "into=model"),
        ("options", [1], "damaged at options"),
        ("options", {"nonsense": 1}, "no option 'nonsense'"),
        ("options.samples", "many", "must be int"),
        ("options.samples", 0, "samples must be positive"),
        ("shared.latent_dim", 4, "of shape"),
        ("shared.latent_dim", 10**12, "of shape"),  # refused before memory is taken for it
        ("shared.input_shape", [10**6, 10**6], "shape"),
        ("shared.latent_dim", -1, "must be positive"),
        ("shared.create", 1, "cannot be made again"),
        ("parts.network", {"name": "os:system"}, "unknown network 'os:system'"),
        ("parts.network", {"name": "mlp", "hidden": [400] * 3}, "lacks"),
        ("parts.network", "mlp; rm -rf /", "unknown network"),
        ("parts", None, "damaged at parts"),
        ("plugin", 3, "damaged at plugin"),
        ("part_plugins", [], "damaged at part_plugins"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    vaezoo.save(make(), tmp_path)
    rewrite(tmp_path, lambda config, tensors: set_path(config, path, value))
    with pytest.raises(vaezoo.CheckpointError) as caught:
        vaezoo.load(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_plugin_that_is_missing_is_named(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path)

    def change(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        config["variant"] = "mine/skewed-vae"
        config["plugin"] = {"distribution": "vaezoo-mine", "version": "1.2"}

    rewrite(tmp_path, change)
    with pytest.raises(vaezoo.CheckpointError, match=r"pip install 'vaezoo-mine==1\.2'"):
        vaezoo.load(tmp_path)


def older(version: str) -> Callable[[dict[str, Any], dict[str, Tensor]], None]:
    """As if another version of vaezoo had saved it."""

    def change(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        config["vaezoo"] = config["plugin"]["version"] = version

    return change


def test_another_version_of_vaezoo_is_told_where_it_fits_and_where_not(tmp_path: Path) -> None:
    model = make()
    vaezoo.save(model, tmp_path)
    rewrite(tmp_path, older("0.0.7"))
    told = r"saved with vaezoo 0\.0\.7, and [\d.]+ is installed \(pip install 'vaezoo==0\.0\.7'"
    with pytest.warns(vaezoo.PluginWarning, match=told) as caught:
        assert same_outputs(vaezoo.load(tmp_path), model)
    assert len(caught) == 1  # though the variant, the parts and the file are vaezoo's
    rewrite(tmp_path, lambda config, tensors: tensors.pop(NAME))
    with pytest.raises(vaezoo.CheckpointError, match=f"lacks {NAME}. The likely cause: .*{told}"):
        vaezoo.load(tmp_path)
    with pytest.raises(vaezoo.CheckpointError, match=told):
        vaezoo.load(tmp_path, into=make())


def test_a_patch_of_vaezoo_is_told_only_where_it_does_not_fit(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path)
    patch = ".".join([*vaezoo.__version__.split(".")[:2], "99"])
    rewrite(tmp_path, older(patch))
    vaezoo.load(tmp_path)
    rewrite(tmp_path, lambda config, tensors: set_path(config, "options.nonsense", 1))
    with pytest.raises(vaezoo.CheckpointError, match=rf"likely cause: it was saved with.*{patch}"):
        vaezoo.load(tmp_path)


def test_parts_that_another_distribution_brought_are_told(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path)
    plugins = {"network": {"distribution": "vaezoo-mine", "version": "1.2"}, "prior": 3}
    rewrite(tmp_path, lambda config, tensors: set_path(config, "part_plugins", plugins))
    told = "'mlp' was that of vaezoo-mine 1.2, .*'standard-normal' was that of an unknown dist"
    with pytest.warns(vaezoo.PluginWarning, match=told):
        vaezoo.load(tmp_path)


@pytest.mark.parametrize("plugin", [{}, {"distribution": "x'; rm -rf ~ #\n", "version": "1\n2"}])
def test_a_plugin_that_is_no_distribution_gets_into_no_command(
    tmp_path: Path, plugin: dict[str, str]
) -> None:
    vaezoo.save(make(), tmp_path)

    def change(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        config["variant"], config["plugin"] = "mine/skewed-vae", plugin

    rewrite(tmp_path, change)
    with pytest.raises(vaezoo.CheckpointError, match="no plugin here brings it") as caught:
        vaezoo.load(tmp_path)
    assert "rm -rf" not in str(caught.value)


NAME = "decoder.network.inner.layers.0.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config, tensors: tensors.pop(NAME), f"lacks {NAME}"),
        (lambda config, tensors: tensors.update(extra=torch.ones(1)), "an unexpected extra"),
        (lambda config, tensors: tensors.update({NAME: torch.ones(3)}), "of shape (3,) instead"),
        (lambda config, tensors: tensors.clear(), "lacks"),
    ],
)
def test_loading_is_strict(tmp_path: Path, change: Any, message: str) -> None:
    vaezoo.save(make(), tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(vaezoo.CheckpointError) as caught:
        vaezoo.load(tmp_path)
    assert message in str(caught.value)


def test_every_truncation_is_a_checkpoint_error(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    for size in (0, 1, 8, 100, 2000, len(whole) // 2, len(whole) - 1):
        (tmp_path / WEIGHTS).write_bytes(whole[:size])
        with pytest.raises(vaezoo.CheckpointError):
            vaezoo.load(tmp_path)


def test_foreign_files_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / WEIGHTS)  # a pickle
    with pytest.raises(vaezoo.CheckpointError, match="no readable safetensors"):
        vaezoo.load(tmp_path)
    safetensors.torch.save_file({"weight": torch.ones(2)}, tmp_path / WEIGHTS)
    with pytest.raises(vaezoo.CheckpointError, match="not written by vaezoo"):
        vaezoo.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "[" * 100_000, "\ud800"])
def test_a_damaged_config_is_a_checkpoint_error(tmp_path: Path, text: str) -> None:
    vaezoo.save(make(), tmp_path)
    (tmp_path / "config.json").write_text(text, errors="surrogatepass")
    with pytest.raises(vaezoo.CheckpointError, match=r"config\.json"):
        vaezoo.load(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / WEIGHTS)
    (tmp_path / "config.json").unlink()
    if text != "\ud800":
        safetensors.torch.save_file(tensors, tmp_path / WEIGHTS, {"vaezoo": text})
        with pytest.raises(vaezoo.CheckpointError, match="metadata"):
            vaezoo.load(tmp_path)


def test_a_config_that_differs_from_the_weights_files_own_is_refused(tmp_path: Path) -> None:
    vaezoo.save(make(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["options"]["samples"] = 5
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(vaezoo.CheckpointError, match="not the config"):
        vaezoo.load(tmp_path)


def test_nothing_where_a_model_should_be(tmp_path: Path) -> None:
    with pytest.raises(vaezoo.CheckpointError, match="does not exist"):
        vaezoo.load(tmp_path / "absent")
    with pytest.raises(vaezoo.CheckpointError, match=r"holds no model\.safetensors"):
        vaezoo.load(tmp_path)


@pytest.mark.gpu
def test_a_model_loads_onto_the_gpu(tmp_path: Path) -> None:
    vaezoo.save(make().cuda(), tmp_path)
    assert vaezoo.load(tmp_path, device="cuda").device.type == "cuda"
    assert vaezoo.load(tmp_path).device.type == "cpu"


def test_a_run_is_not_overwritten_by_a_model(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(6,), latent_dim=2)
    vaezoo.fit(model, torch.randn(64, 6), steps=2, out=tmp_path / "run", progress=False)
    before = (tmp_path / "run/config.json").read_bytes()
    with pytest.raises(vaezoo.CheckpointError, match="holds a run"):
        vaezoo.save(model, tmp_path / "run")
    assert (tmp_path / "run/config.json").read_bytes() == before
    vaezoo.save(model, tmp_path / "run/model")


def test_equal_models_make_equal_bytes(tmp_path: Path) -> None:
    model = vaezoo.create("vae", input_shape=(6,), latent_dim=2)
    vaezoo.save(model, tmp_path / "a.safetensors")
    vaezoo.save(vaezoo.load(tmp_path / "a.safetensors"), tmp_path / "b.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    assert data == (tmp_path / "b.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert [*header["__metadata__"]] == sorted(header["__metadata__"])


@pytest.mark.parametrize("place", [-1, -40])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    file = tmp_path / "a.safetensors"
    vaezoo.save(vaezoo.create("vae", input_shape=(6,), latent_dim=2), file)
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(vaezoo.CheckpointError, match="is damaged"):
        vaezoo.load(file)


def test_the_names_of_the_classes_are_saved_with_the_model(tmp_path: Path) -> None:
    model = make("cvae", num_classes=3)
    assert model.classes == ()
    vaezoo.save(model, tmp_path / "unnamed")
    assert vaezoo.load(tmp_path / "unnamed").classes == ()
    assert "classes" not in json.loads((tmp_path / "unnamed" / "config.json").read_text())
    x, y = torch.rand(12, 2, 6, 5), torch.arange(12) % 3
    source = vaezoo.data.TensorSource(x, y)
    data = vaezoo.data.named_splits("own", {"train": (source, "all")}, classes=("a", "b", "c"))
    vaezoo.fit(model, data, steps=1, batch_size=4, progress=False)
    vaezoo.save(model, tmp_path / "named")
    assert vaezoo.load(tmp_path / "named").classes == ("a", "b", "c")


def test_a_model_without_labels_has_no_names_for_them(tmp_path: Path) -> None:
    model, source = make(), vaezoo.data.TensorSource(torch.rand(8, 2, 6, 5), torch.arange(8) % 2)
    data = vaezoo.data.named_splits("own", {"train": (source, "all")}, classes=("a", "b"))
    vaezoo.fit(model, data, steps=1, batch_size=4, progress=False)
    assert model.classes == ()


def test_a_file_from_before_the_names_were_recorded_has_those_of_its_folders(
    tmp_path: Path,
) -> None:
    model = make("cvae", num_classes=2, input_shape=(1, 6, 5))
    model.preprocessing = ImagePreprocessing(image_size=(6, 5), mode="grey", classes=("a", "b"))
    vaezoo.save(model, tmp_path / "model")
    assert vaezoo.load(tmp_path / "model").classes == ("a", "b")


@pytest.mark.parametrize("classes", ["abc", {"a": 1}, [1, 2, 3]])
def test_damaged_names_are_a_checkpoint_error(tmp_path: Path, classes: Any) -> None:
    model = make("cvae", num_classes=3)
    config = {**weights.config_of(make("cvae", num_classes=3)), "classes": classes}
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(tensors, path, {"vaezoo": json.dumps(config)})
    with pytest.raises(vaezoo.CheckpointError, match="damaged at classes"):
        vaezoo.load(path)
