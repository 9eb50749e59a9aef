"""Which choices go together, decided from names and options before anything runs; loads no torch.

`check` gives the findings of a whole configuration, `impossible` what a form has to grey out. What one part needs and
says stands on its options (`hnm_core.spec.traits`); here are the rules between parts. Rules carry the ids that the
documentation lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from hnm_core.errors import InputError
from hnm_core.spec.config import DISTANCES, ExperimentConfig, LaneConfig
from hnm_core.spec.registry import LOSSES, MINERS, AbsentEntry
from hnm_core.spec.traits import Level, Lock, LossOptions, MinerOptions, Remark, judged_refusal

Kind = Literal["miner", "loss", "distance"]
"""What a lane chooses by name."""


@dataclass(frozen=True)
class Finding:
    """One thing about a configuration that cannot be, or that a user should know."""

    rule: str
    lane: str
    """Empty for what concerns all lanes."""
    level: Level
    sentence: str
    fix: str | None = None
    """Settings that mend it, as `--set` takes them below the lane, or None where there is no single one."""
    alarm_level: Literal["hint", "warning"] = "warning"
    """Of the alarm that a run starts with, see `hnm_core.run.events.AlarmLevel`."""


LOCK_WORDS: Mapping[Lock, str] = {
    "unit-euclidean": "Euclidean distance on normalised embeddings",
    "unit-lp": "Euclidean or squared Euclidean distance on normalised embeddings",
    "cosine": "cosine distance",
    "similarity": "cosine or inner-product distance",
    "raw-inner-product": "inner products of embeddings as they are",
}
LOCK_FIXES: Mapping[Lock, str] = {
    "unit-euclidean": "distance=euclidean normalize=true",
    "unit-lp": "distance=euclidean normalize=true",
    "cosine": "distance=cosine",
    "similarity": "distance=cosine",
    "raw-inner-product": "distance=inner-product normalize=false",
}

JOIN_LIMIT = 50_000_000
"""More triplets than this in one step are refused: three vectors of them take over a gigabyte."""

SUGGESTED_LR = 1e-3
"""Learning rate above which the hardest negatives from the first step on often end in collapse."""


def check(
    config: ExperimentConfig,
    *,
    classes: int | None = None,
    smallest_class: int | None = None,
    items: int | None = None,
    several: bool = False,
) -> list[Finding]:
    """Everything there is to say about a configuration, refusals first.

    Args:
        classes: of the data set; None where it is not known yet, which leaves out the rules that need it.
        smallest_class: items of its smallest class.
        items: of the data set.
        several: whether its items have several labels each; classes are then those that they are shown in.
    """
    found = [*_absent_parts(config), *_data_rules(config, classes, None if several else smallest_class, items)]
    found += _several_rules(config) if several else []
    for lane in config.lanes:
        found += _lane_rules(config, lane, classes, items)
    order = ("refuse", "warn", "info")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _absent_parts(config: ExperimentConfig) -> Iterator[Finding]:
    """What a recording was made with and is not here to be used again."""
    shared = ("", (config.data.part, config.model.part, config.sampler.part))
    for name, parts in (shared, *((lane.name, (lane.miner_part, lane.loss_part)) for lane in config.lanes)):
        for part in parts:
            if isinstance(part.entry, AbsentEntry):
                yield Finding("absent", name, "refuse", part.entry.refusal)


def refuse(findings: list[Finding]) -> None:
    """Raise `InputError` with the sentences of the refusals, if there are any."""
    sentences = [
        f"{f'Lane {finding.lane!r}: ' if finding.lane else ''}{finding.sentence}"
        for finding in findings
        if finding.level == "refuse"
    ]
    if sentences:
        raise InputError(" ".join(sentences))


def impossible(kind: Kind, config: ExperimentConfig, lane: str, *, several: bool = False) -> dict[str, str]:
    """The names of `kind` that cannot replace the lane's own, each with the reason in one sentence.

    Options of a replaced miner or loss are its defaults. Only refusals count, and only those of the choice itself.
    `several`: whether the items have several labels each.
    """
    own = config.lane(lane)
    if own.sampler is not None:
        config = config.model_copy(update={"sampler": own.sampler})
    before = {finding.rule for finding in _lane_rules(config, own, None, None) if finding.level == "refuse"}
    names = {"miner": MINERS.names(), "loss": LOSSES.names(), "distance": DISTANCES}[kind]
    reasons = {}
    for name in names:
        replaced = own.model_copy(update={kind: name} | ({f"{kind}_options": {}} if kind != "distance" else {}))
        about = {*_ABOUT[kind], *(remark.rule for remark in _unmet(config, replaced, kind))}
        findings = _lane_rules(config, replaced, None, None)
        concerned = [f for f in findings if f.level == "refuse" and (f.rule not in before or f.rule in about)]
        if several:
            concerned += [rule for about_kind, rule in _several_in_lane(replaced) if about_kind == kind]
        if concerned:
            reasons[name] = concerned[0].sentence
    return reasons


_ABOUT: Mapping[str, tuple[str, ...]] = {
    "miner": ("C1", "C5", "C12", "C19", "C34", "gone"),
    "loss": ("C1", "C6", "C8", "C12", "C13", "C16", "C28"),
    "distance": ("C5", "C6", "C8"),
}
"""Refusals that speak of each kind of choice, whatever the lane had before; beside those that a miner or a loss has of
its own."""


def _unmet(config: ExperimentConfig, lane: LaneConfig, kind: Kind) -> Iterator[Remark]:
    """What the miner or the loss of a lane needs and does not get; a distance needs nothing."""
    if kind != "distance":
        part = lane.miner_part if kind == "miner" else lane.loss_part
        yield from part.options.unmet(lane, config)


def _data_rules(
    config: ExperimentConfig, classes: int | None, smallest_class: int | None, items: int | None
) -> Iterator[Finding]:
    if config.data.part.options.judged:
        yield Finding("C41", "", "refuse", judged_refusal(config.data.name))
        return
    if classes is not None and classes < 2:
        yield Finding("C23", "", "refuse", "The data have one class: there is nothing to separate.")
        return
    if config.data.split == "official" and config.data.part.options.official_split is False:
        sentence = f"The data set '{config.data.name}' has no official split."
        yield Finding("C39", "", "refuse", sentence, "data.split=items")
    if smallest_class is not None and smallest_class < 2:
        yield Finding("C24", "", "warn", "Some classes have one item only: it can be a negative but never an anchor.")
    if not any(lane.in_batch for lane in config.lanes):
        return
    sampler = config.sampler.part.options
    if sampler.of_each_class is not None and sampler.of_each_class < 2:
        yield Finding("C17", "", "refuse", "There are no positive pairs with one item per class in a batch.",
                      "sampler.options.per_class=4")  # fmt: skip
    if sampler.ignores_classes and classes is not None:
        batch = config.sampler.batch if items is None else min(config.sampler.batch, items)
        pairs = batch * (batch - 1) / 2 / classes
        if pairs < 1:
            yield Finding(
                "C18", "", "warn",
                f"Expect {pairs:.2g} positive pairs in a batch of {batch} drawn at random from {classes} classes.",
                "sampler.name=balanced",
            )  # fmt: skip


def _several_rules(config: ExperimentConfig) -> Iterator[Finding]:
    """What needs one class an item cannot be had of items with several labels each: a classifier, a boundary or a proxy
    for each class, and what a library compares by equal labels."""
    if config.data.split == "classes":
        sentence = "Items with several labels each cannot be split by classes; data.split is items or official."
        yield Finding("C42", "", "refuse", sentence, "data.split=items")
    for lane in config.lanes:
        sampler = config.sampler if lane.sampler is None else lane.sampler
        options = sampler.part.options
        if not (options.ignores_classes or options.shares_labels):
            sentence = (
                f"The sampler '{sampler.name}' goes by classes, and items have several labels each; take balanced or "
                "random."
            )
            yield Finding("C42", lane.name, "refuse", sentence, "sampler.name=balanced")
        yield from (finding for _, finding in _several_in_lane(lane))


def _several_in_lane(lane: LaneConfig) -> Iterator[tuple[Kind, Finding]]:
    """What a lane has that needs one class an item, by its miner and by its loss."""
    miner, loss = lane.miner_part.options, lane.loss_part.options
    if lane.in_batch and not miner.shares_labels:
        sentence = (
            f"The miner '{lane.miner}' compares classes inside a batch, and items have several labels each; take one "
            "of ours, such as batch-hard, or one over the whole set, such as knn."
        )
        yield "miner", Finding("C42", lane.name, "refuse", sentence, "miner=knn")
    # One over triplets takes the word of who chose them.
    told = loss.needs_triplets and not loss.own_weights and not miner.leaves_choice
    if not (loss.shares_labels or told):
        sentence = (
            f"The loss '{lane.loss}' is made for one class an item, and items have several labels each; take one over "
            "pairs or triplets of ours, such as sup-con or triplet-margin."
        )
        yield "loss", Finding("C42", lane.name, "refuse", sentence, "loss=triplet-margin")


def _lane_rules(
    config: ExperimentConfig, lane: LaneConfig, classes: int | None, items: int | None
) -> Iterator[Finding]:
    if lane.sampler is not None:
        config = config.model_copy(update={"sampler": lane.sampler})
    loss, miner = lane.loss_part.options, lane.miner_part.options
    if miner.gone:
        yield Finding("gone", lane.name, "refuse", miner.gone)
    for remark in (*_unmet(config, lane, "loss"), *_unmet(config, lane, "miner")):
        yield Finding(remark.rule, lane.name, remark.level, remark.sentence, remark.fix, remark.alarm_level)
    yield from _inside_rules(config, lane, miner)
    yield from _tuple_rules(lane, loss)
    yield from _distance_rules(lane, miner, loss)
    yield from _order_rules(config, lane, miner)
    yield from _margin_rules(lane, miner, loss)
    yield from _size_rules(config, lane, miner, loss, classes)
    for remark in (*miner.remarks(lane, items), *loss.remarks(lane, items)):
        yield Finding(remark.rule, lane.name, remark.level, remark.sentence, remark.fix, remark.alarm_level)
    yield from _start_rules(config, lane, miner)
    yield from _idle_rules(lane, miner)


def _inside_rules(config: ExperimentConfig, lane: LaneConfig, miner: MinerOptions) -> Iterator[Finding]:
    """What a miner cannot have inside: another miner and a loss, on the lane's distance."""
    update = miner.inside()
    if update is None:
        return

    def found(sentence: str) -> Finding:
        return Finding("C34", lane.name, "refuse", f"Inside the miner '{lane.miner}': {sentence}")

    inside = lane.model_copy(update=update)
    try:
        inner = inside.miner_part
        if not inside.in_batch or inner.options.leaves_choice or inner.options.inside() is not None:
            yield found(f"'{inside.miner}' does not look inside a batch for tuples.")
            return
        beyond = inside.loss_part.options.needs_more
        if beyond:
            yield found(f"'{inside.loss}' with {beyond} needs more than embeddings and labels.")
        else:
            rules = ("C1", "C5", "C6", "C8", "C28", "C30", "C32", "gone")
            refused = [rule for rule in _lane_rules(config, inside, None, None) if rule.level == "refuse"]
            yield from (found(rule.sentence) for rule in refused if rule.rule in rules)
    except InputError as error:
        yield found(str(error))


def _hands_on_tuples(lane: LaneConfig) -> bool:
    """Whether the loss is handed chosen tuples, rather than random ones or all there are."""
    return lane.mines and not lane.miner_part.options.leaves_choice


def _tuple_rules(lane: LaneConfig, loss: LossOptions) -> Iterator[Finding]:
    def found(rule: str, level: Level, sentence: str) -> Finding:
        return Finding(rule, lane.name, level, sentence)

    if loss.bug:
        yield found("C28", "refuse", f"{lane.loss} is known to be wrong in pytorch-metric-learning 2.9: {loss.bug}.")
        return
    match loss.use:
        case "none" if not lane.miner_part.options.leaves_choice:
            yield found("C1", "refuse", f"The loss '{lane.loss}' does not use mined tuples.")
        case "weights" if _hands_on_tuples(lane):
            yield found("C2", "warn", f"Mining only re-weights the items of '{lane.loss}'.")
        case "one-pair" if _hands_on_tuples(lane):
            yield found("C3", "warn", f"'{lane.loss}' uses at most one positive pair of each class.")
        case "positives" if _hands_on_tuples(lane):
            yield found("C4", "warn", f"'{lane.loss}' ignores mined negatives.")


def _fits(lock: Lock, lane: LaneConfig) -> bool:
    match lock:
        case "unit-euclidean":
            return lane.distance == "euclidean" and lane.normalize
        case "unit-lp":
            return lane.distance in ("euclidean", "squared-euclidean") and lane.normalize
        case "cosine":
            return lane.distance == "cosine"
        case "similarity":
            return lane.distance in ("cosine", "inner-product")
        case "raw-inner-product":
            return lane.distance == "inner-product" and not lane.normalize
        case _:
            return True


def _distance_rules(lane: LaneConfig, miner: MinerOptions, loss: LossOptions) -> Iterator[Finding]:
    if miner.unit_euclidean_only and not _fits("unit-euclidean", lane):
        yield Finding(
            "C5", lane.name, "refuse",
            f"The miner '{lane.miner}' needs {LOCK_WORDS['unit-euclidean']}.", LOCK_FIXES["unit-euclidean"],
        )  # fmt: skip
    if not _fits(loss.lock, lane):
        yield Finding(
            "C6", lane.name, "refuse",
            f"The loss '{lane.loss}' needs {LOCK_WORDS[loss.lock]}.", LOCK_FIXES[loss.lock],
        )  # fmt: skip
    if loss.lock == "snr" and _hands_on_tuples(lane):
        yield Finding(
            "C7", lane.name, "warn",
            f"The miner ranks pairs by {lane.distance} distance, '{lane.loss}' by its own signal-to-noise distance.",
        )  # fmt: skip
    if loss.swaps_margins and lane.distance in ("cosine", "inner-product"):
        pos, neg = loss.margins["pos_margin"], loss.margins["neg_margin"]
        if pos <= neg:
            yield Finding(
                "C8", lane.name, "refuse",
                f"The margins of '{lane.loss}' (pos_margin = {pos:g}, neg_margin = {neg:g}) are for distances, but "
                f"with {lane.distance} it compares similarities: positives should lie above negatives.",
                "loss_options.pos_margin=1 loss_options.neg_margin=0",
            )  # fmt: skip


def _reach(lane: LaneConfig) -> float:
    """The largest distance there can be."""
    on_sphere = lane.normalize or lane.distance == "cosine"
    if not on_sphere:
        return math.inf
    return {"euclidean": 2.0, "squared-euclidean": 4.0, "cosine": 2.0, "inner-product": 2.0}[lane.distance]


def _margin_rules(lane: LaneConfig, miner: MinerOptions, loss: LossOptions) -> Iterator[Finding]:
    reach = _reach(lane)
    limit = reach**2 if loss.squares_distances and lane.distance == "euclidean" else reach
    for name, value in loss.margins.items():
        if value > limit:
            yield Finding(
                "C9", lane.name, "warn",
                f"The largest possible distance is {limit:g}: {name} = {value:g} can never be met.",
            )  # fmt: skip
    own, wanted = miner.wanted_margin, loss.margins.get("margin")
    if own is not None and wanted is not None and own != wanted:
        yield Finding(
            "C11", lane.name, "warn",
            f"The miner's margin ({own:g}) should match the loss's ({wanted:g}).", f"miner_options.margin={wanted:g}",
        )  # fmt: skip


def _order_rules(config: ExperimentConfig, lane: LaneConfig, miner: MinerOptions) -> Iterator[Finding]:
    if miner.in_order and (config.sampler.batch % 3 or config.sampler.part.options.any_order):
        yield Finding(
            "C12", lane.name, "refuse",
            f"'{lane.miner}' needs rows in the order anchor, positive, negative; the sampler '{config.sampler.name}' "
            f"with batches of {config.sampler.batch} does not give them so.",
        )  # fmt: skip


def _size_rules(
    config: ExperimentConfig, lane: LaneConfig, miner: MinerOptions, loss: LossOptions, classes: int | None
) -> Iterator[Finding]:
    if loss.own_weights and classes is not None and classes < 1:
        yield Finding("C13", lane.name, "refuse", f"'{lane.loss}' needs the number of classes.")
    triplets = _triplets_of_a_step(config, lane, miner, loss, classes)
    if triplets is not None and triplets > JOIN_LIMIT:
        cap = miner.cap_option
        gigabytes = 24 * triplets / 2**30
        yield Finding(
            "C19", lane.name, "refuse",
            f"Up to {triplets / 1e6:.0f} million triplets a step need {gigabytes:.1f} GB; "
            f"{f'cap them with {cap}' if cap else 'take a smaller batch'}.",
            f"miner_options.{cap}=1000000" if cap else None,
        )  # fmt: skip
    if lane.memory and lane.in_batch and not loss.takes_reference:
        yield Finding("C16", lane.name, "refuse", f"'{lane.loss}' cannot look at a memory of past embeddings.")
    dimension, bits = config.model.part.options.dimension, loss.margin_in_bits
    if dimension is not None and bits is not None and bits >= dimension:
        yield Finding(
            "C20", lane.name, "refuse", f"alpha = {bits:g} is a margin in bits, but codes have only {dimension} bits.",
        )  # fmt: skip
    if miner.weighs_by_density and dimension is not None and dimension <= 3:
        flat = "In 3 dimensions the weights are nearly flat, 1 / distance."
        yield Finding("C26", lane.name, "warn", flat, alarm_level="hint")


def _triplets_of_a_step(
    config: ExperimentConfig, lane: LaneConfig, miner: MinerOptions, loss: LossOptions, classes: int | None
) -> float | None:
    """The most triplets one step can have, where mining inside a batch multiplies them; None where it does not."""
    if not lane.in_batch:
        return None
    batch = config.sampler.batch
    per_class = config.sampler.part.options.of_each_class or (batch / classes if classes else None)
    if per_class is None:
        return None
    everything = batch * max(per_class - 1, 0) * max(batch - per_class, 0)
    cap = miner.most_tuples(batch)
    if miner.triplet_share:
        mined = miner.triplet_share * everything
        return min(mined, cap) if cap else mined
    return everything if miner.many_pairs and loss.needs_triplets and not cap else None


def _start_rules(config: ExperimentConfig, lane: LaneConfig, miner: MinerOptions) -> Iterator[Finding]:
    waits = lane.warmup > 0 or lane.warmup_below is not None
    if not config.model.part.options.trains:
        return
    if _hands_on_tuples(lane) and lane.warmup >= config.steps:
        yield Finding(
            "warm-up", lane.name, "warn",
            f"'{lane.miner}' never mines: the warm-up of {lane.warmup:,} steps is not over after {config.steps:,}.",
            "warmup=0",
        )  # fmt: skip
    hardest = miner.hardest_only and lane.hard_share == 1
    if hardest and not waits and config.optimizer.lr > SUGGESTED_LR:
        yield Finding(
            "C25", lane.name, "warn",
            f"The hardest negatives from the first step on, at a learning rate of {config.optimizer.lr:g}, often end "
            "in collapse; start with random ones.",
            "warmup=200",
        )  # fmt: skip


def idle_fields(miner: str, refresh: str) -> dict[str, str]:
    """Fields of a lane that do nothing with this miner and this `refresh`, with the reason, which is half a sentence.

    Raises:
        InputError: there is no such miner.
    """
    if MINERS.entry(miner).scope == "batch":
        reason = f"'{miner}' looks at the batch itself, not at a bank of the whole set"
        refreshing = ("refresh", "refresh_every", "refresh_lag", "drift_threshold")
        return {**dict.fromkeys(refreshing, reason), "hard_share": f"all that '{miner}' finds in a batch is used"}
    reasons = {"memory": f"'{miner}' looks at the whole set; a memory is for miners inside the batch"}
    if refresh != "background":
        reasons["refresh_lag"] = f"it belongs to refresh = background, not {refresh}"
    if refresh != "drift":
        reasons["drift_threshold"] = f"it belongs to refresh = drift, not {refresh}"
    if refresh == "epoch":
        reasons["refresh_every"] = "refresh = epoch does not count steps"
    return reasons


def _idle_rules(lane: LaneConfig, miner: MinerOptions) -> Iterator[Finding]:
    """Options that differ from their defaults and do nothing."""
    for name, reason in idle_fields(lane.miner, lane.refresh).items():
        yield from _idle(lane, lane, "", name, reason)
    for name, reason in miner.idle().items():
        yield from _idle(lane, miner, "miner_options.", name, reason)


def _idle(lane: LaneConfig, options: BaseModel, before: str, name: str, reason: str) -> Iterator[Finding]:
    value, default = dict(options)[name], type(options).model_fields[name].default
    if value != default:
        words = f"{value:g}" if isinstance(value, float) else value
        fix = f"{before}{name}={default}" if default is not None else None
        idle = f"{before}{name} = {words} has no effect: {reason}."
        yield Finding("C35", lane.name, "warn", idle, fix, alarm_level="hint")
