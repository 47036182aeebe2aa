"""A run's folder: its resolved config, its metrics, its checkpoints, and the exported model."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vaezoo import provenance
from vaezoo.errors import PluginWarning, RunError
from vaezoo.files import dump_json, write_atomic
from vaezoo.training.continuing import COMPARED, extended, longer

CONFIG, METRICS, FIGURES = "config.json", "metrics.jsonl", "figures.json"
CHECKPOINTS, MODEL, SAMPLES, LOCK = "checkpoints", "model", "samples", ".lock"
TENSORBOARD = "tensorboard"


class RunFolder:
    """The files of one run. Raises RunError when it cannot be used as asked."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / CHECKPOINTS
        self.model = self.path / MODEL
        self.samples = self.path / SAMPLES
        self.tensorboard = self.path / TENSORBOARD

    def exists(self) -> bool:
        """Whether it already holds a run, or what is left of one."""
        return any((self.path / name).exists() for name in (CONFIG, METRICS, CHECKPOINTS))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here meanwhile (where the system has flock)."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("w")
        except OSError as error:
            raise RunError(f"the run's folder {self.path} cannot be written: {error}") from error
        with file:
            try:
                lock(file)
            except BlockingIOError as error:
                message = f"another process is training in {self.path}: wait for it"
                raise RunError(message) from error
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failure to write here, as on a full disk, into a RunError that says it all."""
        try:
            yield
        except OSError as error:
            safe = self.safe_step()
            after = (
                f": the run is safe up to step {safe:,}; once that is mended, go on with resume "
                f"(--resume)"
            )
            raise RunError(
                f"the run's folder {self.path} cannot be written ({error}){after * (safe > 0)}"
            ) from error

    def safe_step(self) -> int:
        """The step of the newest checkpoint; 0 without one."""
        names = [path.name for path in self.checkpoints.glob("step-*")]
        return max((int(n[5:]) for n in names if n[5:].isdecimal()), default=0)

    def busy(self) -> bool:
        """Whether a process is training here now (where the system has flock)."""
        try:
            with (self.path / LOCK).open() as file:
                lock(file)
        except BlockingIOError:
            return True
        except OSError:  # no lock, or none that may be read
            return False
        return False

    def start(self, config: Mapping[str, Any], *, overwrite: bool) -> None:
        """Begin a new run; one that is there is refused, or removed if ``overwrite``."""
        if self.exists() and not overwrite:
            raise RunError(
                f"{self.path} already holds a run: continue it with resume (--resume), "
                f"replace it with overwrite (--overwrite), or choose another folder"
            )
        with self.writing():
            self._remove()
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path / CONFIG, dump_json(config))

    def longer(self, config: Mapping[str, Any]) -> bool:
        """Whether ``config`` is that of the run that is there, with more steps.

        Raises RunError where it differs in anything else.
        """
        return longer(self.config(), config, str(self.path))

    def resume(self, config: Mapping[str, Any]) -> None:
        """Go on with the run that is there; more steps than it had are written to its config.

        Warns with a PluginWarning where it was begun with another plugin's version. Raises
        RunError also where its checkpoints are lost: it would begin anew, over its model.
        """
        self._check_checkpoints()
        longer = self.longer(config)
        if told := provenance.warning(self.config()["model"]):
            warnings.warn(f"{self.path}: {told}", PluginWarning, stacklevel=2)
        if longer:
            with self.writing():
                (self.path / FIGURES).unlink(missing_ok=True)  # it is no longer finished
                whole = extended(self.config(), config, self.safe_step())
                write_atomic(self.path / CONFIG, dump_json(whole))

    def config(self) -> dict[str, Any]:
        """The run's resolved config."""
        try:
            text = (self.path / CONFIG).read_text(encoding="utf-8")
            config = json.loads(text)
        except FileNotFoundError as error:
            raise RunError(f"{self.path} holds no run: there is no {CONFIG} in it") from error
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / CONFIG} cannot be read: {error}") from error
        if not isinstance(config, dict) or not all(
            isinstance(config.get(part), dict) for part in COMPARED
        ):
            raise RunError(f"{self.path / CONFIG} is not the config of a run")
        return config

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to the metrics; what is not finite becomes null."""
        line = json.dumps(finite(record), allow_nan=False)
        with self.writing(), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def records(self) -> list[dict[str, Any]]:
        """The metrics, one dict for each line; a line cut off by a crash is left out."""
        path = self.path / METRICS
        lines = path.read_bytes().splitlines() if path.exists() else []
        records = []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
        return records

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Drop the metrics after a step, which are about to be made again; return the rest."""
        kept = [record for record in self.records() if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        with self.writing():
            write_atomic(self.path / METRICS, text)
        return kept

    def write_figures(self, figures: Mapping[str, Any]) -> None:
        """The figures that the run ends with."""
        with self.writing():
            write_atomic(self.path / FIGURES, dump_json(finite(figures)))

    def _check_checkpoints(self) -> None:
        """Raise RunError where there is no checkpoint, but a model or metrics of later steps."""
        if any(self.checkpoints.glob("step-*")):
            return
        training = self.config()["training"]
        marks = [training.get(name) for name in ("checkpoint_every", "steps")]
        first = min((mark for mark in marks if mark), default=1)  # where one was made
        steps = max((record["step"] for record in self.records()), default=0)
        if self.model.exists() or steps > first:
            weights = f", or with the weights of its model (--init-from {self.model})"
            raise RunError(
                f"{self.path} cannot be resumed: it came to step {steps:,}, and holds no "
                f"checkpoint in {self.checkpoints}. Put that folder back, or begin anew with "
                f"overwrite (--overwrite){weights * self.model.exists()} in another folder"
            )

    def _remove(self) -> None:
        """Remove the run's own files, and nothing else that may be in the folder."""
        for name in (CHECKPOINTS, MODEL, SAMPLES, TENSORBOARD):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (METRICS, FIGURES, CONFIG):
            (self.path / name).unlink(missing_ok=True)


def finite(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON can hold it: what is not finite becomes None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }


try:
    import fcntl
except ImportError:  # Windows

    def lock(file: IO[str]) -> None:
        """Nothing: the system has no flock."""

else:

    def lock(file: IO[str]) -> None:
        """Raise BlockingIOError where another process holds the lock; closing gives it back."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            return
