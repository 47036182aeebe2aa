"""What vaezoo raises: each error that a user can cause is a VaezooError with one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class VaezooError(Exception):
    """Base of all errors that a user's input can cause."""


class UnknownVariantError(VaezooError, LookupError):
    """No variant of that name is registered."""


class UnknownComponentError(VaezooError, ValueError):
    """No network, prior, likelihood, dataset or metric of that name is registered."""


class OptionError(VaezooError, ValueError):
    """An option is unknown, missing, of the wrong type, or out of its range."""


class MissingRequirementError(VaezooError, ImportError):
    """A variant or component needs a package that is not installed."""


class DataError(VaezooError, ValueError):
    """The data do not fit the model, or cannot be found or read."""


class CheckpointError(VaezooError):
    """A saved model or training state is damaged, foreign, or does not fit."""


class RunError(VaezooError):
    """A run's folder cannot be used as asked."""


class TrainingError(VaezooError):
    """Training does not come off; the message says what is not finite, and what to try."""


class NoBoundError(VaezooError, TypeError):
    """A likelihood figure was asked of a model whose objective is no likelihood bound."""


class LatentsError(VaezooError, TypeError):
    """What has one group of latents was asked of a model with several, or with other ones."""


class TrainingWarning(UserWarning):
    """Training went on or ended, but not as it should; the message says what to try."""


class PluginWarning(UserWarning):
    """A plugin was skipped, or is another than that of a saved model; the message names the
    distributions and says what to do."""


class DataWarning(UserWarning):
    """Some of the data were left out, or have changed; the message says which, and why."""


def did_you_mean(name: str, known: Iterable[str], listed: Mapping[str, str] | None = None) -> str:
    """The tail of an error about an unknown name: the nearest match, then what exists.

    listed: what to write for a name in the list, if not itself.
    """
    known = sorted(known)
    listing = ", ".join((listed or {}).get(name, name) for name in known) or "none"
    return f"{nearest(name, known)} Available: {listing}."


def nearest(name: str, known: Iterable[str]) -> str:
    """ " Did you mean ...?", with a space before it, or "" where nothing is near."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
