"""The folder that a study keeps its results in: whose it is, and which of several programs writes there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies.made_of import made_of, other_files, other_versions
from hnm_core.system import paths
from hnm_core.system.locks import claimed
from hnm_core.system.regular_files import read_regular
from hnm_core.system.whole_files import write_whole

if TYPE_CHECKING:
    from hnm_core.training.retrieval_config import RetrievalConfig

SETTINGS, MADE_OF = "settings.json", "made-of.json"
"""In the folder of a study: what was asked for, and what else the results depend on."""

LOCK = "study.lock"
"""There for as long as a program writes what all programs at this folder share."""

LOOK_AGAIN_S = 0.5
"""So often a program that waits for another one looks."""

MAX_BYTES = 256 << 20
"""Of a file in it."""


def claim_folder(
    folder: Path, settings: str, config: ExperimentConfig | RetrievalConfig, say: Callable[[str], object]
) -> None:
    """Make `folder` the home of what `settings` (text) describes, or find that it is already.

    Args:
        folder: is made where it is missing.
        settings: what was asked for.
        config: the configuration in it.
        say: is told where another version of the program made what is there.

    Raises:
        InputError: it belongs to something else, or to data with other contents, or cannot be written.
    """
    now = made_of(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = read_text(folder / SETTINGS)
        if there is None:
            _check_empty(folder)
            with alone_in(folder):
                there = read_text(folder / SETTINGS)  # another program may have begun at the same time
                if there is None:
                    _check_empty(folder)
                    write_text(folder / MADE_OF, json.dumps(now, indent=1))
                    write_text(folder / SETTINGS, settings)  # last: from here on the folder has a home
                    return
        if there != settings:
            raise InputError(f"'{folder}' holds results of other settings. Name a new folder with --out.")
        known = read_text(folder / MADE_OF)
        before = json.loads(known) if known is not None else now  # older folders do not say it
        files, versions = other_files(before, now), other_versions(before, now)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"Cannot write into '{folder}': {paths.why(error)}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"'{folder / MADE_OF}' is damaged. Name a new folder with --out.") from None
    if files:
        raise InputError(
            f"'{folder}' holds results of other contents of {' and '.join(map(repr, files))}. Name a new folder with "
            "--out."
        )
    if versions:
        say(f"'{folder}' was begun with {versions}; name a new folder with --out to train all of it with one version.")


def _check_empty(folder: Path) -> None:
    begun = (LOCK, MADE_OF, f"{MADE_OF}.part", f"{SETTINGS}.part")  # what one leaves that is killed just here
    if any(entry.name not in begun for entry in folder.iterdir()) and read_text(folder / SETTINGS) is None:
        raise InputError(f"'{folder}' is not empty and holds no such results. Name a new folder with --out.")


def read_text(path: Path) -> str | None:
    """The text of a file in such a folder; None where there is no file. Raises `OSError` and `ValueError`."""
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except FileNotFoundError:
        return None


def write_text(path: Path, text: str) -> None:
    """Write a file in it, whole or not at all. Raises `InputError`."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {paths.why(error)}.") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else writes what all programs at this folder share; waits for whoever does. Raises `InputError`."""
    while True:
        with alone_at(folder / LOCK) as ours:
            if ours:
                yield
                return
        time.sleep(LOOK_AGAIN_S / 10)


@contextmanager
def alone_at(lock: Path) -> Iterator[bool]:
    """Whether no other program has this lock file. Raises `InputError` where it cannot be made."""
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(claimed(lock))
        except OSError as error:
            raise InputError(f"'{lock}' cannot be written: {paths.why(error)}.") from error
        yield ours
