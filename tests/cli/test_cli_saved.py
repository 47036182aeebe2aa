"""``vaezoo eval``, ``sample``, ``reconstruct`` and ``traverse``, of runs and of bare models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import vaezoo as zoo
from vaezoo.pictures import text


def size(path):
    """Width and height of a picture."""
    with Image.open(path) as picture:
        return picture.size


def figures(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_eval_of_a_run_repeats_the_figures_that_it_ended_with(vaezoo, trained):
    found = figures(vaezoo("eval", trained["vae"], "--json"))
    ended = json.loads((trained["vae"] / "figures.json").read_text())
    assert found == {name: ended[name] for name in found}
    assert ended.keys() - found.keys() <= {"warnings"}
    assert (found["data"], found["split"], found["binarization"]) == ("tiny", "test", "dynamic")


def test_eval_shows_a_table(vaezoo, trained):
    text = vaezoo("eval", trained["vae"]).out
    assert text.startswith("tiny, test: 16 examples; binarization dynamic; seed 0\n")
    assert [line.split()[0] for line in text.splitlines()[1:]] == [
        "elbo",
        "reconstruction",
        "kl",
        "bits-per-dim",
    ]


def test_eval_takes_data_split_binarization_metrics_and_seed(vaezoo, trained):
    line = "--split validation --binarization static --metrics elbo log-likelihood --seed 3 --json"
    found = figures(vaezoo("eval", trained["vae"], *line.split()))
    assert (found["split"], found["examples"], found["seed"]) == ("validation", 16, 3)
    assert found["binarization"] == "static"
    assert found["log_likelihood"] >= found["elbo"]
    other = figures(vaezoo("eval", trained["vae"], "--data", "tiny-unlabelled", "--json"))
    assert other["data"] == "tiny-unlabelled"
    assert other["binarization"] == "dynamic"


def test_flags_may_come_before_the_model(vaezoo, trained):
    assert figures(vaezoo("eval", "--json", trained["vae"]))


def test_eval_takes_how_many_samples_a_metric_draws(vaezoo, trained):
    line = ["eval", trained["vae"], "--metrics", "elbo", "log-likelihood", "--json"]
    assert figures(vaezoo(*line, "--samples", 7))["samples"] == 7


def test_metrics_take_options_and_tell_their_units(vaezoo, trained):
    pytest.importorskip("sklearn")
    line = ["eval", trained["vae"], "--metrics", "knn", "linear-probe", "latents", "anomaly"]
    line += ["--metrics.knn.k", 1, "--metrics.knn.labels", 30, "--metrics.knn.no-floor"]
    line += ["--metrics.anomaly.normal", 0, 2]
    found = figures(vaezoo(*line, "--json"))
    assert (found["knn_labels"], found["knn_draws"], found["linear_probe_labels"]) == (30, 5, 64)
    assert "knn_accuracy_raw" not in found
    assert len(found["kl_by_dimension"]["z"]) == 2
    assert found["anomaly_examples"] == 5
    table = vaezoo(*line).out.splitlines()
    rows = {text.split()[0]: text.split() for text in table[1:]}
    assert rows["knn-accuracy"][2:] == ["±", rows["knn-accuracy"][3], "of", "1"]
    assert rows["active-units"][-1] == "dimensions"
    assert rows["kl-z"][-1] == "nats"
    assert table[-1].startswith("kl of the dimensions of z: ")


def test_metrics_of_plugins_are_in_the_help_and_have_flags(vaezoo, trained):
    text = " ".join(vaezoo("eval", "--help").out.replace("│", " ").split())
    assert "tiny/brightness: What the examples add up to" in text
    line = ["eval", trained["vae"], "--metrics", "tiny/brightness"]
    assert "What a unit of it is worth" in vaezoo(*line, "--help").out
    line += ["--metrics.tiny/brightness.factor", 2]
    found = figures(vaezoo(*line, "--json"))
    assert found["darkness"] is None  # JSON has no NaN
    once = figures(vaezoo(*line[:-2], "--json"))
    assert found["brightness"] == 2 * once["brightness"]
    rows = [text.split() for text in vaezoo(*line).out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["brightness", "darkness"]
    assert (rows[0][-1], rows[1][1]) == ("lumens", "undefined")


def test_the_model_in_a_run_knows_its_run(vaezoo, trained, monkeypatch):
    run = trained["vae"]
    whole = figures(vaezoo("eval", run, "--json"))
    for model in (run / "model", run / "model" / "model.safetensors"):
        assert figures(vaezoo("eval", model, "--json")) == whole
    monkeypatch.chdir(run / "model")
    assert figures(vaezoo("eval", ".", "--json")) == whole
    assert figures(vaezoo("eval", "model.safetensors", "--json")) == whole


def test_a_folder_with_another_config_is_no_run_of_its_model(vaezoo, trained, tmp_path):
    shutil.copytree(trained["vae"] / "model", tmp_path / "model")
    (tmp_path / "config.json").write_text('{"of": "something else"}')
    assert "--data" in vaezoo("eval", tmp_path / "model").error


def test_a_bare_model_needs_data(vaezoo, trained, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(trained["vae"] / "model", model)
    for command in ("eval", "reconstruct", "traverse"):
        assert "--data" in vaezoo(command, model).error
    found = figures(vaezoo("eval", model / "model.safetensors", "--data", "tiny", "--json"))
    assert found["binarization"] == "none"


def test_data_must_fit_the_model(vaezoo, trained):
    for command in ("eval", "reconstruct", "traverse"):
        error = vaezoo(command, trained["vae"], "--data", "tiny-wide").error
        assert "1, 32, 36)" in error
        assert "1, 8, 8)" in error
    assert "have none" in vaezoo("eval", trained["cvae"], "--data", "tiny-unlabelled").error
    assert "split" in vaezoo("eval", trained["vae"], "--split", "tset").error


@pytest.mark.parametrize("command", ["sample", "reconstruct", "traverse"])
@pytest.mark.parametrize("variant", ["vae", "cvae"])
def test_pictures_go_to_the_run_or_to_this_folder_or_where_they_are_told(
    vaezoo, trained, tmp_path, command, variant
):
    name = {"sample": "samples", "reconstruct": "reconstructions", "traverse": "traversals"}
    run = tmp_path / "run"
    shutil.copytree(trained[variant], run)
    shutil.rmtree(run / "samples")
    shutil.copytree(run / "model", tmp_path / "bare")
    picture = f"{name[command]}.png"
    for saved in (run, run / "model"):
        assert vaezoo(command, saved).out == f"{run / 'samples' / picture}\n"
    data = [] if command == "sample" else ["--data", "tiny"]
    assert vaezoo(command, tmp_path / "bare", *data).out == f"{picture}\n"
    assert vaezoo(command, run, "--out", "new/x.png").out == "new/x.png\n"
    for written in (run / "samples" / picture, picture, "new/x.png"):
        assert size(written)[0] > 100


@pytest.mark.parametrize("line", ["reconstruct", "sample", "sample --label 2"])
def test_captions_say_what_is_seen(vaezoo, trained, monkeypatch, line):
    said = []
    original = text.wrap
    monkeypatch.setattr(
        text, "wrap", lambda words, *rest: said.append(words) or original(words, *rest)
    )
    command, *flags = line.split()
    vaezoo(command, trained["cvae"], *flags, "--out", "a.png")
    what = {
        "reconstruct": "the mean of p(x|z); tiny, test split, binarized (static)",
        "sample": "Samples: means of p(x|z) at draws of z from the prior, one class in each row",
        "sample --label 2": "Samples of class c: means of p(x|z) at draws of z from the prior",
    }
    assert any(words.endswith(what[line]) for words in said)


@pytest.mark.parametrize("bare", [True, False])
def test_a_class_is_said_by_name_or_number(vaezoo, trained, tmp_path, bare):
    path = tmp_path / "model"
    shutil.copytree(trained["cvae"] / "model" if bare else trained["cvae"], path)
    sheets = [vaezoo("sample", path, "--label", label, "--out", "a.png") for label in "2cC"]
    assert [sheet.code for sheet in sheets] == [0, 0, 0]
    assert "takes no labels" in vaezoo("sample", trained["vae"], "--label", "c").error
    error = vaezoo("sample", path, "--label", "cc").error
    assert error == (
        "--label: no class 'cc'. Did you mean 'c'? Available: a, b, c. Or say its number, 0..2."
    )
    for label, names in ((1, ["00000.png"]), ("b", ["00000.png"])):
        assert vaezoo("sample", path, "--label", label, "--n", 1, "--out", f"of-{label}").code == 0
        assert sorted(p.name for p in Path(f"of-{label}/b").iterdir()) == names
    assert Path("of-1/b/00000.png").read_bytes() == Path("of-b/b/00000.png").read_bytes()


def test_a_name_goes_before_a_number_where_both_are_classes(vaezoo, trained, tmp_path):
    model = zoo.load(trained["cvae"])
    model.classes = ("1", "2", "7")
    zoo.save(model, tmp_path / "model")
    for label, folder in ((1, "1"), (7, "7"), (0, "1")):
        assert vaezoo(
            "sample", tmp_path / "model", "--label", label, "--n", 1, "--out", f"s{label}"
        )
        assert [p.name for p in Path(f"s{label}").iterdir()] == [folder]


def test_a_model_of_unnamed_classes_takes_numbers(vaezoo, tmp_path):
    model = zoo.create("cvae", input_shape=(1, 8, 8), latent_dim=2, num_classes=3)
    zoo.save(model, tmp_path / "model")
    assert vaezoo("sample", tmp_path / "model", "--label", 2, "--out", "a.png").code == 0
    error = vaezoo("sample", tmp_path / "model", "--label", "coat").error
    assert error == "--label must lie in 0..2, not coat"


def test_samples_of_a_model_without_a_bound_are_called_what_they_are(vaezoo, tmp_path):
    model = zoo.create("ae", input_shape=(1, 8, 8), latent_dim=2)
    zoo.save(model, tmp_path / "ae")
    result = vaezoo("sample", tmp_path / "ae", "--out", "a.png")
    assert (result.code, result.out) == (0, "a.png\n")
    assert "no samples of a fitted prior" in result.err
    assert "no likelihood bound fits to the codes" in result.err


def test_sample_draws_one_class_if_told_so(vaezoo, trained):
    out = vaezoo("sample", trained["cvae"], "--label", 2, "--n", 5).out
    assert out == f"{trained['cvae'] / 'samples' / 'samples-of-2.png'}\n"
    assert (
        "--label must lie in 0..2, not 3" in vaezoo("sample", trained["cvae"], "--label", 3).error
    )
    assert "takes no labels" in vaezoo("sample", trained["vae"], "--label", 0).error


def test_samples_depend_on_their_seed_alone(vaezoo, trained):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        vaezoo("sample", trained["vae"], "--n", 4, "--seed", seed, "--out", f"{name}.png")
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_more_samples_and_dimensions_make_a_larger_picture(vaezoo, trained):
    sizes = {}
    for n in (4, 40):
        vaezoo("reconstruct", trained["vae"], "--n", n, "--out", "r.png")
        sizes[n] = size("r.png")
    assert sizes[40] != sizes[4]
    for dims in ([0], [1, 0]):
        vaezoo("traverse", trained["vae"], "--dims", *dims, "--steps", 3, "--out", "t.png")
        sizes[len(dims)] = size("t.png")
    assert sizes[2][1] > sizes[1][1]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--index 16", "--index must lie in 0..15, not 16"),
        ("--dims 2", "no latent dimension [2]: there are 0..1"),
        ("--steps 1", "steps >= 2"),
        ("--limit 0", "limit > 0"),
        ("--limit -1", "limit > 0"),
        ("--limit nan", "limit > 0"),
        ("--limit inf", "finite limit"),
    ],
)
def test_traverse_refuses_what_is_not_there(vaezoo, trained, line, hint):
    assert hint in vaezoo("traverse", trained["vae"], *line.split()).error


def test_a_run_on_data_without_a_name_asks_for_data(vaezoo, tmp_path):
    import torch

    model = zoo.create("vae", input_shape=(1, 8, 8), latent_dim=2)
    x = torch.rand(32, 1, 8, 8)
    zoo.fit(model, x, steps=1, batch_size=8, out=tmp_path / "own", progress=False)
    error = vaezoo("eval", tmp_path / "own").error
    assert "'Tensor'" in error
    assert "--data" in error
    assert "none that vaezoo knows" in vaezoo("train", "--resume", "--out", tmp_path / "own").error
    assert figures(vaezoo("eval", tmp_path / "own", "--data", "tiny", "--json"))


def test_vectors_have_no_pictures(vaezoo):
    line = "train vae --data tiny-rows --steps 2 --batch-size 8 --model.latent-dim 2"
    assert vaezoo(*line.split()).code == 0
    for command in ("traverse", "interpolate", "reconstruct"):
        error = vaezoo(command, "runs/vae-tiny-rows").error
        assert f"{command} draws images, and this model makes rows of 5 numbers: write" in error
    assert "--out samples.csv" in vaezoo("sample", "runs/vae-tiny-rows", "--out", "a.png").error


def test_samples_of_a_table_are_rows_of_a_file(vaezoo):
    rows = "\n".join(f"{i},{i * i}" for i in range(40))
    Path("t.csv").write_text(f"a,b c\n{rows}\n")
    line = "train vae --data t.csv --steps 2 --batch-size 8 --model.latent-dim 2"
    assert vaezoo(*line.split()).code == 0
    assert vaezoo("sample", "runs/vae-t").out == "runs/vae-t/samples/samples.csv\n"
    assert "is there already" in vaezoo("sample", "runs/vae-t").error
    assert vaezoo("sample", "runs/vae-t", "--overwrite", "-n", 2000).code == 0
    header, *made = Path("runs/vae-t/samples/samples.csv").read_text().splitlines()
    assert header == "a,b c"
    assert len(made) == 2000
    assert 300 < sum(float(row.split(",")[1]) for row in made) / 2000 < 700  # in its own units
    assert vaezoo("sample", "runs/vae-t/model", "--out", "s.csv", "-n", 100).out == "s.csv\n"
    assert len(Path("s.csv").read_text().splitlines()) == 101


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("train beta-vae --data tiny --out {run} --model.beta -3", "beta must not be negative"),
        ("train vae --data tiny --out {run} --device cudaa", "Did you mean 'cuda'?"),
        ("train vae --data tiny --out {run} --steps 3 --lr-warmup-steps 4", "more than the 3"),
        ("train vae --data tiny --out {run} --model.latent-dim 0", "latent_dim must be positive"),
        ("encode {run} --out there.csv --batch-size 0", "--batch-size must be"),
        ("encode {run} --out there.csv --data no-such", "no-such"),
        ("decode {run} z.npy --out there.csv --seed -1", "--seed must"),
        ("score {run} --out there.csv --samples 0", "--samples must be"),
        ("reconstruct {run} --out there.csv --batch-size 0", "--batch-size must be"),
        ("sample {run} --out there.csv --n 0", "--n must be"),
    ],
)
def test_wrong_options_are_told_before_what_is_there_already(vaezoo, trained, line, hint):
    Path("there.csv").write_text("there\n")
    argv = line.format(run=trained["vae"]).split()
    assert hint in vaezoo(*argv).error
    assert Path("there.csv").read_text() == "there\n"
