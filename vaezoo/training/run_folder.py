"""A run's folder: its resolved config, its metrics, its checkpoints, and the exported model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vaezoo.errors import RunError
from vaezoo.files import dump_json, write_atomic

CONFIG, METRICS, FIGURES = "config.json", "metrics.jsonl", "figures.json"
CHECKPOINTS, MODEL, SAMPLES, LOCK = "checkpoints", "model", "samples", ".lock"
TENSORBOARD = "tensorboard"
COMPARED = ("model", "data", "training")  # must be the same for a run to go on
FREE = {"vaezoo": None, "log": None}  # but for these: its version, and what only looks on


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

    def start(self, config: Mapping[str, Any], *, overwrite: bool) -> None:
        """Begin a new run; one that is there is refused, or removed if ``overwrite``."""
        try:
            if self.exists():
                if not overwrite:
                    raise RunError(
                        f"{self.path} already holds a run: continue it with resume (--resume), "
                        f"replace it with overwrite (--overwrite), or choose another folder"
                    )
                self._remove()
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path / CONFIG, dump_json(config))
        except OSError as error:
            raise RunError(f"the run's folder {self.path} cannot be written: {error}") from error

    def resume(self, config: Mapping[str, Any]) -> None:
        """Check that the run that is there was started with the same config."""
        recorded = self.config()
        for part in COMPARED:
            old, new = ({**c[part], **FREE} for c in (recorded, config))
            differences = list(_differences(old, new, part))
            if differences:
                raise RunError(
                    f"{self.path} cannot be resumed with another config: "
                    f"{'; '.join(differences[:3])}"
                )

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
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
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
        write_atomic(self.path / METRICS, "".join(json.dumps(record) + "\n" for record in kept))
        return kept

    def write_figures(self, figures: Mapping[str, Any]) -> None:
        """The figures that the run ends with."""
        write_atomic(self.path / FIGURES, dump_json(finite(figures)))

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


def _differences(old: Any, new: Any, where: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            found += _differences(old.get(key, "absent"), new.get(key, "absent"), f"{where}.{key}")
        return found
    return [] if old == new else [f"{where} was {old!r} and now is {new!r}"]
