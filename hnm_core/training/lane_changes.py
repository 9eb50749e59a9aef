"""Changes a lane between two of its steps, and makes another lane that goes on from where it stands."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hnm_core.devices import phase_clock
from hnm_core.errors import InputError
from hnm_core.losses.base import Loss
from hnm_core.run import changeable
from hnm_core.run.events import Alarm, Event, OptionChanged
from hnm_core.spec.compatibility import check
from hnm_core.spec.config import from_dict
from hnm_core.training.optimizers import optimizer
from hnm_core.training.trainer import Trainer


def change(trainer: Trainer, changes: Mapping[str, Any]) -> list[Event]:
    """Train with other options from the next step on. Weights, the optimiser's memory and generators stay as they are.

    Everything new is made before anything is put to use, so a refusal leaves the lane as it was.

    Args:
        trainer: of the lane, between two steps.
        changes: values by option, see `hnm_core.run.changeable`.

    Returns:
        An `OptionChanged` for each option that differs now, and an `Alarm` for each thing that a user should know of
        the options as they are now and that was not so before.

    Raises:
        InputError: as `hnm_core.run.changeable.changed`, or what is new cannot be made.
    """
    before, counts = trainer.config, _counts(trainer)
    after = changeable.changed(before, changes, **counts)
    differing = changeable.differences(before, after)
    options = {difference.option for difference in differing}
    if not options:
        return []
    lane = after.lanes[0]
    with _drawn_only_if_all_is_well(trainer.loss_source, trainer.mining.source):
        loss = trainer.create_loss(lane) if any(_is_of(option, "loss") for option in options) else None
        if loss is not None and (_has_weights(loss) or _has_weights(trainer.loss)):
            raise InputError(
                f"Lane '{lane.name}': a loss that trains weights of its own cannot be changed while the lane trains."
            )
        sampler = trainer.create_sampler(after) if any(_is_of(option, "sampler") for option in options) else None
        miner = trainer.mining.changed_miner(lane)

    trainer.config, trainer.lane, trainer.notes = after, lane, []
    if loss is not None:
        trainer.loss, trainer.alpha = loss, None
        trainer.margin = trainer.margin_of(lane, loss)
    if sampler is not None:
        trainer.sampler, trainer.batches = sampler, []
    trainer.mining.change(lane, miner, trainer.step)
    _adjust(trainer)
    if loss is not None or sampler is not None or miner is not None:
        trainer.set_up, trainer.searches_told = True, {}
    step = trainer.step + 1
    known = {finding.sentence for finding in check(before, **counts)}
    new = [finding for finding in check(after, **counts) if finding.level == "warn" and finding.sentence not in known]
    return [
        *(OptionChanged(lane.name, step, option, value, old, asked=True) for option, old, value in differing),
        *(Alarm(lane.name, step, finding.rule, finding.sentence, finding.alarm_level) for finding in new),
        *(Alarm(lane.name, step, "sampler", note) for note in (sampler.notes if sampler is not None else ())),
        *(Alarm(lane.name, step, "usual-lead", note, "hint") for note in trainer.notes),
    ]


def fork(trainer: Trainer, name: str) -> Trainer:
    """Another lane that goes on from the very state of this one: weights, optimiser, generators, bank, place in the
    epoch. Unless it is changed, all its steps equal those of `trainer`.

    Raises:
        InputError: the name is not allowed.
    """
    lane = trainer.lane.model_copy(update={"name": name})
    config = trainer.config.model_copy(update={"lanes": (lane,)})
    from_dict(config.to_dict(), "New lane")  # refuses a name that is none
    new = copy.deepcopy(trainer, {id(trainer.clock): phase_clock(trainer.shared.device)})
    new.config, new.notes = config, []
    new.rename(lane)
    return new


@contextmanager
def _drawn_only_if_all_is_well(*sources: torch.Generator) -> Iterator[None]:
    """What was drawn from `sources` within is given back if that ends in an error."""
    before = [source.get_state() for source in sources]
    try:
        yield
    except BaseException:
        for source, state in zip(sources, before, strict=True):
            source.set_state(state)
        raise


def _has_weights(loss: Loss) -> bool:
    return isinstance(loss, nn.Module) and any(True for _ in loss.parameters())


def _is_of(option: str, kind: str) -> bool:
    return option == kind or option.startswith((f"{kind}_options.", f"{kind}."))


def _adjust(trainer: Trainer) -> None:
    """Give the optimiser its settings anew; what it remembers of each weight stays."""
    if trainer.optimizer is None:
        return
    wanted = optimizer(trainer.config.optimizer, trainer.model, trainer.loss)
    assert wanted is not None
    for group, new in zip(trainer.optimizer.param_groups, wanted.param_groups, strict=True):
        group.update({key: value for key, value in new.items() if key != "params"})


def _counts(trainer: Trainer) -> dict[str, Any]:
    """What the rules want to know of the training data."""
    counts = torch.unique(trainer.y, return_counts=True)[1]
    several = trainer.shared.several is not None
    return {"classes": len(counts), "smallest_class": int(counts.min()), "items": len(trainer.y), "several": several}
