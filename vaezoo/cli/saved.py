"""What ``RUN_OR_MODEL`` means: a saved model, and the run that it comes from if there is one."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vaezoo.checks import standardized_otherwise
from vaezoo.cli.reading import shown_reading
from vaezoo.cli.usage import UsageError
from vaezoo.data import Binarization, Data, as_data, data_for, read_for
from vaezoo.data.files import Corrupt
from vaezoo.errors import DataError, DataWarning, RunError, VaezooError
from vaezoo.model import VAE
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec
from vaezoo.training.fingerprint import fingerprint
from vaezoo.training.hardware import resolve_device
from vaezoo.training.run_folder import RunFolder
from vaezoo.weights import WEIGHTS, find_weights, load


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A model, and where it was trained."""

    model: VAE
    path: Path
    run: RunFolder | None = None
    config: dict[str, Any] | None = None
    """Of the run."""

    def data(
        self,
        chosen: str | None = None,
        root: Path | None = None,
        corrupt: Corrupt | None = None,
        *,
        lazily: bool = False,
    ) -> Data:
        """The data of that name, or of that path as the model takes them; else the run's.

        corrupt: what to do with files and rows that cannot be read, else as the run did. lazily:
        the examples of a path stay in their files.
        """
        with shown_reading():
            if chosen:
                return data_for(self.model, chosen, root, corrupt=corrupt, lazily=lazily)
            return self._data_of_the_run(root, corrupt)

    def binarization(self, chosen: Binarization | None = None) -> Binarization:
        """The one that is chosen, else the run's, else none."""
        if chosen is not None or self.config is None:
            return chosen or "none"
        recorded: Binarization = self.config["training"].get("binarization", "none")
        return recorded

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """What the model's labels are called, as it says or else its data, if they are at hand."""
        names = self.model.classes
        if not names and self.run is not None and self.model.num_classes is not None:
            with contextlib.suppress(VaezooError):
                names = self.data().classes
        return names if len(names) == self.model.num_classes else ()

    def picture(self, name: str) -> Path:
        """Where a picture goes: to the run's others, or here."""
        return (self.run.samples if self.run else Path()) / name

    def _data_of_the_run(self, root: Path | None, corrupt: Corrupt | None) -> Data:
        if self.config is None:
            raise UsageError(
                f"{self.path} is a model without its run: say what data to use, as in "
                f"--data mnist, or a path; there are {', '.join(lookup.names(DatasetSpec))}"
            )
        try:
            recorded = recorded_data(self.config, self.path)
            if corrupt is not None and "corrupt" in recorded:
                recorded["corrupt"] = corrupt
            data = as_data(recorded, root=root)
        except DataError as error:
            fault = self._as_told_here(error, corrupt)
            raise DataError(f"{fault}: say what data to use with --data") from error
        if standardized_otherwise(self.model, data):
            path = shlex.quote(recorded["path"])
            raise DataError(
                f"{recorded['path']} has changed since {self.path} was trained on it, and with "
                f"it the means and deviations of its columns: give it as --data {path}, and all "
                f"its rows are read with the model's"
            )
        known = self.config["data"].get("fingerprint")
        if known not in (None, fingerprint(data)):
            warnings.warn(
                f"{data.title} has changed since {self.path} was trained on it: its other splits "
                f"may hold what was trained on",
                DataWarning,
                stacklevel=2,
            )
        return data

    def _as_told_here(self, error: DataError, corrupt: Corrupt | None) -> DataError:
        """The fault of the run's file, with such advice as its options, settled now, leave."""
        path = ((self.config or {})["data"].get("options") or {}).get("path")
        if isinstance(path, str) and Path(path).exists():
            try:
                read_for(self.model, path, corrupt=corrupt)
            except DataError as told:
                return told
        return error


def open_saved(path: str, device: str, command: str) -> Saved:
    """The model at ``path``, a run's folder, a model's, or a weights file.

    The model within a run's folder stands for the run.

    Raises UsageError without a path, CheckpointError for what is no model, RunError for a run
    whose config is damaged.
    """
    if not path:
        raise UsageError(
            f"{command}: say which model, as in `vaezoo {command} runs/beta-vae-sprites`. "
            f"See `vaezoo {command} --help`."
        )
    model = load(path, device=resolve_device(device))
    run = RunFolder(path)
    if _holds_run(run):
        return Saved(model=model, path=run.path, run=run, config=run.config())
    return _exported(model, Path(path))


def _holds_run(run: RunFolder) -> bool:
    return run.exists() and not (run.path / WEIGHTS).is_file()  # a bare model has a config too


def _exported(model: VAE, path: Path) -> Saved:
    """A model's folder or weights file, with the run that it lies in, if it does."""
    folder = find_weights(path).parent
    run = RunFolder((folder if folder.name else folder.resolve()).parent)
    if run.model.resolve() == folder.resolve() and _holds_run(run):
        try:
            return Saved(model=model, path=path, run=run, config=run.config())
        except RunError:  # the config is of something else: a bare model after all
            pass
    return Saved(model=model, path=path)


def recorded_data(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """A run's data, as ``as_data`` takes them. Raises DataError unless they have a name."""
    name, options = (config["data"].get(key) for key in ("name", "options"))
    if name not in lookup.names(DatasetSpec):
        raise DataError(f"the data of {path}, {name!r}, are none that vaezoo knows by name")
    return {**(options if isinstance(options, dict) else {}), "name": name}
