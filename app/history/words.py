"""What happened to lanes, in the words of the window. No Qt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hnm_core.run.events import LaneForked, OptionChanged, WarmupEnded, change_text
from hnm_core.run.history import RunHistory

OPTION_NAMES = {
    "optimizer.lr": "learning rate",
    "sampler.name": "sampler",
    "miner_options.margin": "margin of the miner",
    "loss_options.margin": "margin",
}


def option_in_words(option: str) -> str:
    """An option as the form calls it."""
    return OPTION_NAMES.get(option, option.split(".")[-1].replace("_", " "))


def in_words(change: OptionChanged | WarmupEnded | LaneForked) -> str:
    """What happened to the lane, with options called as in the form."""
    if isinstance(change, OptionChanged) and change.asked:
        change = replace(change, option=option_in_words(change.option))
    return change_text(change)


def changes_in_words(changes: Sequence[OptionChanged]) -> str:
    """What lanes have taken up together, each thing once with the lanes that it holds for."""
    lanes: dict[str, list[str]] = {}
    for change in changes:
        lanes.setdefault(in_words(change), []).append(change.lane)
    what = "; ".join(f"{', '.join(names)}: {text}" for text, names in lanes.items())
    return f"{what}, from step {changes[0].step:,} on"


def title(history: RunHistory, lane: str, upto_step: int | None = None) -> str:
    """The lane's name, and its miner where that was changed."""
    now = next(
        (
            change.value
            for change in reversed(history.changes)
            if isinstance(change, OptionChanged)
            and (change.lane, change.option, change.asked) == (lane, "miner", True)
            and (upto_step is None or change.step <= upto_step)
        ),
        None,
    )
    return lane if now is None or now == re.sub(r"-\d+$", "", lane) else f"{lane} → {now}"


def shared_and_own(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What names say each by itself, and before that the words that all of them share: of "group 1, class 2" and
    "group 3, class 4" it is "group, class", "1, 2" and "3, 4"."""
    words = [name.split(" ") for name in names]
    count = len(words[0]) if words else 0
    if len(words) < 2 or any(len(each) != count for each in words):
        return "", tuple(names)
    shared = [all(each[place] == words[0][place] for each in words) for place in range(count)]
    if all(shared):
        return "", tuple(names)
    common = ", ".join(word for word, same in zip(words[0], shared, strict=True) if same)
    own = (" ".join(word for word, same in zip(each, shared, strict=True) if not same) for each in words)
    return common, tuple(own)
