"""The one exception that means "the user can mend this": a sentence that names the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Wrong input. The message is one or two sentences for the user; the command line prints it and exits with 2."""


MOST_OF_A_NAME = 120
"""Characters of an unknown name that are told."""


def shortened(text: str, most: int = 60) -> str:
    """A text of the user's as part of a sentence: of a long one the beginning, and how long it is."""
    return text if len(text) <= most else f"{text[: most - 20]}... ({len(text):,} characters)"


def described(given: object) -> str:
    """What stands where a tensor should: "torch.int64 of shape (64, 1)", "a list"; of an array, how it becomes one."""
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if shape is None or dtype is None:
        return f"a {type(given).__name__}"
    if str(dtype).startswith("torch."):
        return f"{dtype} of shape {tuple(shape)}"
    return f"a {type(given).__name__} ({dtype}, shape {tuple(shape)}); torch.as_tensor makes a tensor of it"


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """An `InputError` for a name that is not in `known`, with the nearest ones first."""
    known = sorted(known)
    folded = {candidate.lower(): candidate for candidate in known}
    given = str(name).lower()[:MOST_OF_A_NAME]
    near = [folded[match] for match in difflib.get_close_matches(given, folded, n=3, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return InputError(
        f"Unknown {kind} '{shortened(str(name), MOST_OF_A_NAME)}'. {hint}Known: {', '.join(known) or 'none'}."
    )


class StateUntoldError(Exception):
    """A part does not tell its state, so that nothing can go on from a checkpoint; the message names it."""
