"""Finding the command, and turning whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import vaezoo
from vaezoo.cli.usage import HELP, UsageError, is_flag, tell, unknown_flag
from vaezoo.errors import DataWarning, PluginWarning, VaezooError, did_you_mean

OK, FAULT, MISTAKE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141
OURS = (PluginWarning, DataWarning)

COMMANDS = {
    "list": ("vaezoo.cli.catalogue:list_", "the variants that can be trained"),
    "describe": ("vaezoo.cli.catalogue:describe", "what a variant or component is and takes"),
    "plugins": ("vaezoo.cli.catalogue:plugins", "where they come from, and what is broken"),
    "data": ("vaezoo.cli.data:data", "the data sets, and what one or a file of yours holds"),
    "new-plugin": ("vaezoo.cli.new_plugin:new_plugin", "write a package with a variant of yours"),
    "check": ("vaezoo.cli.check:check", "whether a variant keeps the rules of the zoo"),
    "train": ("vaezoo.cli.train:train", "train a model; with nothing else, the default one"),
    "runs": ("vaezoo.cli.runs:runs", "the runs in a folder, with their figures"),
    "compare": ("vaezoo.cli.compare:compare", "runs side by side, as one HTML page to send"),
    "eval": ("vaezoo.cli.evaluate:evaluate", "measure a trained model"),
    "score": ("vaezoo.cli.score:score", "the likelihood of each example, and the unusual ones"),
    "predict": ("vaezoo.cli.predict:predict", "the most probable label of each example"),
    "encode": ("vaezoo.cli.codes:encode", "write the codes of examples to a file"),
    "decode": ("vaezoo.cli.codes:decode", "write what codes stand for to files"),
    "sample": ("vaezoo.cli.draw:sample", "draw samples from its prior"),
    "reconstruct": (
        "vaezoo.cli.reconstruct:reconstruct",
        "draw originals over their reconstructions",
    ),
    "traverse": ("vaezoo.cli.draw:traverse", "draw what each latent dimension does"),
    "interpolate": ("vaezoo.cli.interpolate:interpolate", "draw what lies between two examples"),
    "pictures": ("vaezoo.cli.pictures:pictures", "draw all of a run's pictures again"),
}
HEAD = """\
usage: vaezoo COMMAND [ARGUMENTS]

A zoo of variational autoencoders. `vaezoo train` trains the default one in minutes.

commands:
"""
TAIL = """
`vaezoo COMMAND --help` tells what a command takes.

  --version   print the version
  --debug     with any command: show the traceback of an error
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is 0, 2 for a user's mistake, 130 after Ctrl-C.

    1 is for what nobody foresaw, which is no mistake of the user's.
    """
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    with warnings.catch_warnings():
        for category in OURS:
            warnings.simplefilter("always", category)
        warnings.showwarning = show_warning
        try:
            code = run(arguments)
            sys.stdout.flush()  # here, where a reader who has gone is still handled
        except BrokenPipeError:
            _silence_stdout()
            code = BROKEN_PIPE
        except (VaezooError, OSError) as error:
            if debug:
                traceback.print_exc()
            tell(f"error: {one_line(error)}{_where(error)}")
            code = MISTAKE
        except KeyboardInterrupt as interrupt:
            if debug:
                traceback.print_exc()
            tell(": ".join(["interrupted", *map(str, interrupt.args)]))
            code = INTERRUPTED
        except Exception as error:
            if debug:
                traceback.print_exc()
            tell(
                f"error: unexpected {type(error).__name__}: {one_line(error)}"
                + "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
                + ("" if debug else "; --debug shows where it comes from")
            )
            code = FAULT
    return code


def run(argv: Sequence[str]) -> int:
    """What ``main`` does, with errors as exceptions."""
    if len(argv) > 1 and argv[0] == "help":
        return run([argv[1], "--help"])
    if not argv or argv[0] in (*HELP, "help"):
        sys.stdout.write(usage())
        return OK
    name, *rest = argv
    if name == "--version":
        sys.stdout.write(f"vaezoo {vaezoo.__version__}\n")
        return OK
    if is_flag(name):
        raise unknown_flag(name, ["--version", "--debug", "--help"])
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name!r}.{did_you_mean(name, COMMANDS)}")
    module, attribute = COMMANDS[name][0].split(":")
    command: Callable[[Sequence[str]], None] = getattr(importlib.import_module(module), attribute)
    try:
        command(rest)
    except SystemExit as exit_:  # argparse and tyro leave so when they have shown the help
        if exit_.code not in (None, OK):
            raise
    return OK


def usage() -> str:
    """The text of ``vaezoo --help``."""
    lines = [f"  {name:<13}{summary}\n" for name, (_, summary) in COMMANDS.items()]
    return HEAD + "".join(lines) + TAIL


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Our own warnings as one plain line, those of other packages as Python shows them."""
    if issubclass(category, OURS) or Path(filename).is_relative_to(_PACKAGE):
        tell(f"warning: {' '.join(str(message).split())}")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


_PACKAGE = Path(__file__).parents[1]


def _where(error: Exception) -> str:
    """Of a file without a name that has no more room, where such files are."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG)
    if not full or getattr(error, "filename", None):
        return ""
    import tempfile

    return (
        f": no room for temporary files, which lie in {tempfile.gettempdir()} (set TMPDIR to "
        f"another folder) and beside the output"
    )


def _silence_stdout() -> None:
    """Keep Python from complaining, as it exits, of what it can no longer write."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stdout without a descriptor
        return
