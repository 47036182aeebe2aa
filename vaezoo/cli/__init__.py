"""The command ``vaezoo``."""

from vaezoo.cli.main import main

__all__ = ["main"]
