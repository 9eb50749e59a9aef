"""What can be changed of a lane while it trains, and what its options are after all changes. Loads no torch.

Everything here speaks of the configuration of one lane alone, see `alone`: there its own sampler and its own learning
rate stand where all lanes' stood. An option is named as a setting of the command line names it below its lane:
`hard_share`, `miner`, `miner_options.pool`, `loss_options.margin`, and also `optimizer.lr` and `sampler.batch`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from hnm_core.errors import InputError
from hnm_core.run.events import Event, LaneForked, OptionChanged
from hnm_core.spec import compatibility
from hnm_core.spec.config import ExperimentConfig, LaneConfig, assign_values, from_dict
from hnm_core.spec.registry import LOSSES, MINERS, SAMPLERS, Registry

CHANGEABLE = (
    *("miner", "miner_options", "loss", "loss_options", "hard_share", "memory"),
    *("refresh", "refresh_every", "refresh_lag", "drift_threshold"),
    *("optimizer.lr", "optimizer.options", "sampler"),
)
"""Options that a lane takes up between two steps. The others would need other data, another network or other metrics,
or, as the warm-up, belong to the start."""

OPTIMIZER_DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "sgd": {"momentum": 0.0, "weight_decay": 0.0},
    "adam": {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0},
}
"""Options of an optimiser where the configuration has none, as `hnm_core.training.optimizers` takes them."""

NAMED: Mapping[str, Registry[Any]] = {"miner": MINERS, "loss": LOSSES, "sampler.name": SAMPLERS}
"""Options that name a part."""

SHORT_NAMES = {"lr": "optimizer.lr", "batch": "sampler.batch"}


class Change(NamedTuple):
    """One option that differs, with its values as text that `as_value` reads back."""

    option: str
    before: str
    """Empty for an option of a new miner, loss or sampler."""
    value: str


def alone(config: ExperimentConfig, lane: str) -> ExperimentConfig:
    """The configuration of a lane by itself. Raises `InputError` when there is none called so."""
    own = config.lane(lane)
    return config.model_copy(
        update={"sampler": own.sampler or config.sampler, "lanes": (own.model_copy(update={"sampler": None}),)}
    )


def among(config: ExperimentConfig, lane: ExperimentConfig) -> LaneConfig:
    """The lane of `lane`, a configuration of one alone, as one more of the lanes of `config`; see `alone`."""
    own = None if lane.sampler == config.sampler else lane.sampler
    return lane.lanes[0].model_copy(update={"sampler": own})


def changed(
    config: ExperimentConfig,
    changes: Mapping[str, Any],
    *,
    classes: int | None = None,
    smallest_class: int | None = None,
    several: bool = False,
    items: int | None = None,
) -> ExperimentConfig:
    """The configuration of a lane alone with new values of some options.

    A new miner, loss or sampler comes with its default options, as far as `changes` holds no others.

    Args:
        config: of one lane alone.
        changes: values by option; text is read as a number where a number is needed.
        classes: of the training data, as the other two as far as they are known; see `spec.compatibility.check`.
        smallest_class: items of its smallest class.
        several: whether its items have several labels each.
        items: of the training data.

    Raises:
        InputError: an option that does not exist or has to wait for the next start, a value that is not allowed, or
            that does not go together with the others.
    """
    name = config.lanes[0].name
    full = {SHORT_NAMES.get(option, option): value for option, value in changes.items()}
    for option in full:
        if not is_changeable(option):
            raise InputError(
                f"Lane '{name}': '{option}' cannot be changed while the lane trains. What can: {', '.join(CHANGEABLE)}."
            )
    try:
        after = _with(config, full, "Change")
    except InputError as error:
        raise InputError(str(error).replace("Change: ", "")) from None
    before_loss, after_loss = config.lanes[0].loss_part, after.lanes[0].loss_part
    if before_loss != after_loss and (before_loss.options.trains_weights or after_loss.options.trains_weights):
        raise InputError(
            f"Lane '{name}': a loss that trains weights of its own cannot be changed while the lane trains, neither "
            f"from nor to: '{before_loss.entry.name}' to '{after_loss.entry.name}'. It takes effect at the next start."
        )
    found = compatibility.check(after, classes=classes, smallest_class=smallest_class, items=items, several=several)
    compatibility.refuse(found)
    return after


def is_changeable(option: str) -> bool:
    """Whether an option, or one inside it, can be changed while its lane trains."""
    return any(option == known or option.startswith(f"{known}.") for known in CHANGEABLE)


def differences(before: ExperimentConfig, after: ExperimentConfig) -> list[Change]:
    """What differs between two configurations of one lane alone, options at their defaults or not: names first.

    Options of a new miner, loss or sampler are told where they are not its defaults, and were nothing before.
    """
    old, new = settings(before), settings(after)
    defaults: dict[str, Any] = {}
    for place, registry in NAMED.items():
        if old[place] != new[place]:
            prefix = _options_of(place)
            defaults |= _inside(prefix, registry.part(new[place], {}).options.model_dump(mode="json"))
    old = {name: value for name, value in old.items() if name in new} | defaults
    return [
        Change(name, "" if name in defaults else as_text(old.get(name)), as_text(value))
        for name, value in new.items()
        if old.get(name) != value
    ]


def settings(config: ExperimentConfig) -> dict[str, Any]:
    """Every option of a lane alone by its name, defaults filled in."""
    lane = config.lanes[0]
    values: dict[str, Any] = {"miner": lane.miner, "loss": lane.loss, "sampler.name": config.sampler.name}
    values |= _inside("miner_options", lane.miner_part.options.model_dump(mode="json"))
    values |= _inside("loss_options", lane.loss_part.options.model_dump(mode="json"))
    values |= {
        name: value
        for name, value in lane.model_dump(mode="json").items()
        if name not in ("name", "miner", "miner_options", "loss", "loss_options", "sampler")
    }
    sampler = config.sampler.part.options
    values |= _inside("sampler.options", sampler.model_dump(mode="json"))
    if sampler.own_batch is None:  # else the options settle it
        values["sampler.batch"] = config.sampler.batch
    options = {**OPTIMIZER_DEFAULTS[config.optimizer.name], **config.optimizer.options}
    return values | {"optimizer.lr": config.optimizer.lr} | _inside("optimizer.options", options)


def at_the_end(config: ExperimentConfig, events: Iterable[Event]) -> dict[str, ExperimentConfig]:
    """The configuration of every lane alone after what `events` tell was changed and forked; forked lanes last.

    Raises:
        InputError: the events do not belong to `config`.
    """
    now = {lane.name: alone(config, lane.name) for lane in config.lanes}
    told = (event for event in events if isinstance(event, OptionChanged | LaneForked))
    for (_, lane, _), group in groupby(told, key=lambda event: (type(event), event.lane, event.step)):
        together = list(group)
        forks = [event for event in together if isinstance(event, LaneForked)]
        missing = next((name for name in [event.parent for event in forks] or [lane] if name not in now), None)
        if missing is not None:
            raise InputError(f"A recorded change is of lane '{missing}', which is not there.")
        if forks:
            parent = now[forks[0].parent]
            now[lane] = parent.model_copy(update={"lanes": (parent.lanes[0].model_copy(update={"name": lane}),)})
            continue
        changes = [event for event in together if isinstance(event, OptionChanged) and event.asked]
        for event in changes:
            if event.option in NAMED:  # a recording outlives the plug-ins it was made with
                NAMED[event.option].allow_absent(as_value(event.value))
        now[lane] = _with(now[lane], {event.option: as_value(event.value) for event in changes}, "Recorded changes")
    return now


def as_text(value: Any) -> str:
    """A value as people write it; text that could be taken for something else is quoted."""
    if isinstance(value, str) and value and as_value(value) is value:
        return value
    return json.dumps(value)


def as_value(text: str) -> Any:
    """What `as_text` was given."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with(config: ExperimentConfig, changes: Mapping[str, Any], where: str) -> ExperimentConfig:
    values, lane = config.to_dict(), config.lanes[0].name
    assign_values(values, [(_in_config(option, lane), value) for option, value in changes.items()])
    sampler = values["sampler"]
    if isinstance(sampler, dict) and not {"sampler", "sampler.batch"} & changes.keys():
        given = sampler.get("options", {})
        part = SAMPLERS.part(sampler.get("name", "random"), given if isinstance(given, dict) else {})
        if part.options.own_batch is not None:  # another sampler, whose options settle the batch
            sampler.pop("batch", None)
    return from_dict(values, where)


def _in_config(option: str, lane: str) -> str:
    """The key of an option in the whole configuration."""
    return option if option.split(".")[0] in ("optimizer", "sampler") else f"lanes.{lane}.{option}"


def _options_of(place: str) -> str:
    return "sampler.options" if place == "sampler.name" else f"{place}_options"


def _inside(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
