"""A check: a rule, and the function that holds a variant against it."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import vaezoo
from vaezoo.testing.report import ConformanceError, Failure, Mismatch
from vaezoo.testing.settings import preserved
from vaezoo.testing.subject import Subject

NOT_THE_AUTHORS = (Path(vaezoo.__file__).parent, Path(torch.__file__).parent)
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


@dataclass(frozen=True)
class Check:
    """A named rule. Calling it with a Subject returns None or raises ConformanceError.

    Whatever a variant does to the process's settings and random state is undone afterwards.
    """

    name: str
    function: Callable[[Subject], None]

    @property
    def rule(self) -> str:
        """The first sentence of the function's docstring."""
        doc = inspect.getdoc(self.function) or ""
        return " ".join(doc.split("\n\n")[0].split())

    def __call__(self, subject: Subject) -> None:
        try:
            with preserved():
                self.function(subject)
        except Mismatch as found:
            look = f"{found.look}\n{subject.where}"
            failure = self._failure(found.expected, found.found, look)
            raise ConformanceError(subject.name, [failure]) from None
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            failure = self._failure("no exception", message, f"{origin(error)}\n{subject.where}")
            raise ConformanceError(subject.name, [failure]) from error

    def _failure(self, expected: str, found: str, look: str) -> Failure:
        return Failure(check=self.name, rule=self.rule, expected=expected, found=found, look=look)


def origin(error: BaseException) -> str:
    """The innermost line of an exception that is neither torch's nor vaezoo's.

    Without one, what the author's code has made is at fault, and not what is written where.
    """
    frames = [*traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if _is_the_authors(Path(frame.filename))]
    frame = (own or frames)[-1]
    line = f"{frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}"
    return line if own else f"what the variant gave to vaezoo or torch, which failed in {line}"


def _is_the_authors(file: Path) -> bool:
    if any(file.is_relative_to(root) for root in NOT_THE_AUTHORS):
        return False
    return "site-packages" in file.parts or not file.is_relative_to(STANDARD_LIBRARY)
