"""What the user typed, and what to say when it is wrong. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from vaezoo.errors import VaezooError

NUMBER = re.compile(r"-\.?\d")
HELP = ("-h", "--help")
SEEDS = 2**63
"""How many seeds there are, counted from 0: what every random generator takes."""


class UsageError(VaezooError):
    """The command line cannot be understood."""


def tell(message: str) -> None:
    """One line for the user, on stderr, where it is no part of a command's output."""
    sys.stderr.write(f"vaezoo: {message}\n")
    sys.stderr.flush()


def is_flag(token: str) -> bool:
    """Whether it is ``--flag`` or ``-f``, and no negative number."""
    return len(token) > 1 and token.startswith("-") and not NUMBER.match(token)


def flag_name(token: str) -> str:
    """``--batch_size=8`` as ``--batch-size``."""
    return token.split("=")[0].replace("_", "-")


def groups(argv: Sequence[str]) -> list[list[str]]:
    """The tokens before the first flag, then each flag with what follows it."""
    found: list[list[str]] = [[]]
    for token in argv:
        if is_flag(token):
            found.append([])
        found[-1].append(token)
    return found


def value_of(flag: str, argv: Sequence[str]) -> str | None:
    """The value that a flag is given, the last one if it is repeated; None without one."""
    found = None
    for first, *rest in filter(None, groups(argv)):
        if flag_name(first) == flag:
            _, equals, value = first.partition("=")
            found = value if equals else next(iter(rest), found)
    return found


def given(argv: Sequence[str]) -> set[str]:
    """The names of all flags on the line."""
    return {flag_name(token) for token in argv if is_flag(token)}


def unknown_flag(flag: str, known: Iterable[str], command: str = "") -> UsageError:
    """The error for a flag that a command does not have, with the nearest match."""
    known = sorted(known)
    last = flag.lstrip("-").split(".")[-1]
    # --beta for --model.beta, --hidden for --model.network.hidden: rather than --betas.
    close = [name for name in known if name.lstrip("-").split(".")[-1] == last]
    close = close or get_close_matches(flag, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    whole = f"vaezoo {command}".strip()
    return UsageError(f"{whole} has no option {flag!r}.{hint} See `{whole} --help`.")


def check_seed(seed: int) -> None:
    """Raise UsageError for what is no seed."""
    if not 0 <= seed < SEEDS:
        raise UsageError(f"--seed must lie in 0..2**63-1, not {seed}")


class PlainParser(argparse.ArgumentParser):
    """For the commands that start at once: argparse, with our errors."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(f"vaezoo {command}", description=description, allow_abbrev=False)
        self.command = command

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Raises UsageError, and SystemExit(0) once the help is shown."""
        arguments, rest = self.parse_known_args(argv)
        for token in rest:
            if is_flag(token):
                raise unknown_flag(flag_name(token), self._option_string_actions, self.command)
            raise UsageError(
                f"{self.command} takes no further argument {token!r}. "
                f"See `vaezoo {self.command} --help`."
            )
        return arguments

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.command}: {message}. See `vaezoo {self.command} --help`.")
