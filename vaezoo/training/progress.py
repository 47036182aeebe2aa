"""Showing how training goes: a live line on a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """What the trainer tells of. steps: None where their number is not known."""

    def start(self, step: int, steps: int | None) -> None: ...
    def record(self, record: Mapping[str, Any]) -> None: ...
    def message(self, text: str) -> None: ...
    def stop(self) -> None: ...


class Silent:
    """Shows nothing."""

    def start(self, step: int, steps: int | None) -> None: ...
    def record(self, record: Mapping[str, Any]) -> None: ...
    def message(self, text: str) -> None: ...
    def stop(self) -> None: ...


class Lines:
    """A plain line for each validation, and for each training record if there is none."""

    def __init__(self, stream: TextIO, bound: str = "elbo") -> None:
        self.stream = stream
        self.bound = bound
        self.steps: int | None = 0
        self.speed = ""

    def start(self, step: int, steps: int | None) -> None:
        self.steps = steps

    def record(self, record: Mapping[str, Any]) -> None:
        if record["split"] == "train":
            self.speed = speed(record)
        else:
            print(
                f"step {place(record['step'], self.steps)}  epoch {record['epoch']:.2f}  "
                f"{summary(record, self.bound)}  {self.speed}",
                file=self.stream,
                flush=True,
            )

    def message(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def stop(self) -> None: ...


class Live:
    """A bar with the latest figures, and a line above it for each validation."""

    def __init__(self, bound: str = "elbo") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self.bound = bound
        self.console = Console(stderr=True)
        # The bar takes what the text leaves, so that 80 columns hold all figures.
        self.bar = RichProgress(
            TextColumn("{task.fields[place]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            expand=True,
        )
        self.task = self.bar.add_task("train", total=None, figures="", place="")
        self.steps: int | None = 0

    def start(self, step: int, steps: int | None) -> None:
        self.steps = steps
        self.bar.update(self.task, completed=step, total=steps, place=place(step, steps))
        self.bar.start()

    def record(self, record: Mapping[str, Any]) -> None:
        if record["split"] == "train":
            self.bar.update(
                self.task,
                completed=record["step"],
                place=place(record["step"], self.steps),
                figures=f"{summary(record, self.bound, digits=1)} {speed(record, gap=' ')}",
            )
        else:
            self.console.print(
                f"epoch {record['epoch']:.2f}  validation {summary(record, self.bound)}",
                highlight=False,
            )

    def message(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def stop(self) -> None:
        self.bar.stop()


class Several:
    """Tells several of what it is told."""

    def __init__(self, *members: Progress) -> None:
        self.members = members

    def start(self, step: int, steps: int | None) -> None:
        for member in self.members:
            member.start(step, steps)

    def record(self, record: Mapping[str, Any]) -> None:
        for member in self.members:
            member.record(record)

    def message(self, text: str) -> None:
        for member in self.members:
            member.message(text)

    def stop(self) -> None:
        for member in self.members:
            member.stop()


def make_progress(show: bool, bound: str = "elbo") -> Progress:
    """Live on a terminal, lines elsewhere, or nothing. bound: what training raises."""
    if not show:
        return Silent()
    return Live(bound) if sys.stderr.isatty() else Lines(sys.stderr, bound)


def summary(record: Mapping[str, Any], bound: str = "elbo", *, digits: int = 2) -> str:
    """The figures of a record in nats: the bound that training raises, ELBO, reconstruction and
    KL, or the loss alone."""
    short = digits < 2
    names = {bound: bound.upper(), "elbo": "ELBO"}
    names |= {"reconstruction": "recon" if short else "reconstruction", "kl": "KL"}
    figures = [f"{label} {record[n]:,.{digits}f}" for n, label in names.items() if n in record]
    return (" " if short else "  ").join(figures or [f"loss {record['loss']:,.4g}"])


def place(step: int, steps: int | None) -> str:
    """How far a run has come: 500/2,000."""
    return f"{step:,}" if steps is None else f"{step:,}/{steps:,}"


def speed(record: Mapping[str, Any], *, gap: str = "  ") -> str:
    """How fast, and how long still, where that is known."""
    text = f"{record['examples_per_second']:,.0f} examples/s"
    left = record.get("seconds_left")
    return text if left is None else f"{text}{gap}{duration(left)} left"


def duration(seconds: float) -> str:
    """1:05:09, 5:09 or 0:09."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
