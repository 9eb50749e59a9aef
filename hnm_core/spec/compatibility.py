"""Which choices go together, decided from names and options before anything runs; loads no torch.

`check` gives the findings of a whole configuration, `impossible` what a form has to grey out. Rules carry the ids that
the documentation lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import LOSSES, MINERS, MODELS, Options
from hnm_core.spec.requirements import unmet_by_loss, unmet_by_miner, without_effect

Level = Literal["refuse", "warn", "info"]


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


@dataclass(frozen=True)
class LossTraits:
    """What the rules know of a loss."""

    use: str = "tuples"
    """What it makes of mined tuples, see `hnm_core.losses.pml_options.Use`."""
    lock: str = ""
    """The only distance it takes, see `hnm_core.losses.pml_options.Lock`; raw-inner-product for hashing."""
    needs_triplets: bool = False
    takes_reference: bool = True
    distance_margins: bool = False
    """Whether its margins are meant for distances and make no sense on a similarity."""
    own_weights: bool = False
    bug: str = ""


OWN_LOSSES: Mapping[str, LossTraits] = {
    "contrastive": LossTraits(distance_margins=True),
    "triplet-margin": LossTraits(needs_triplets=True),
    "hoffer-ailon": LossTraits(needs_triplets=True),
    "dtsh": LossTraits(needs_triplets=True, lock="raw-inner-product"),
    "snnl": LossTraits(),
    "nt-xent": LossTraits(),
    "sup-con": LossTraits(),
    "soft-info-nce": LossTraits(),
    "hcl": LossTraits(),
    "multi-similarity": LossTraits(),
    "circle": LossTraits(lock="cosine"),
    "lifted-structure": LossTraits(distance_margins=True),
    "generalized-lifted-structure": LossTraits(distance_margins=True),
    "tuplet-margin": LossTraits(lock="cosine"),
    "n-pairs": LossTraits(use="one-pair", takes_reference=False),
    "margin": LossTraits(needs_triplets=True),
}
"""Our own losses; one that is not listed, a plug-in's for instance, is taken to go with everything."""

JOINED_MINERS = (
    *("pair-margin", "multi-similarity", "hdc", "all-pairs"),
    *("PairMarginMiner", "MultiSimilarityMiner", "HDCMiner"),
)
"""Miners of many pairs, each positive of which a loss over triplets joins with each negative of its anchor."""

SELECTORS = ("hardest-negative", "random-negative", "semihard-negative")
UNIT_EUCLIDEAN_MINERS = ("angular", "distance-weighted")
HARD_MINERS = ("knn", "lsh", "lsh-buckets", "routed", "batch-hard", "hardest-negative", "BatchHardMiner")

LOCK_WORDS: Mapping[str, str] = {
    "unit-euclidean": "Euclidean distance on normalised embeddings",
    "unit-lp": "Euclidean or squared Euclidean distance on normalised embeddings",
    "cosine": "cosine distance",
    "similarity": "cosine or inner-product distance",
    "raw-inner-product": "inner products of embeddings as they are",
}
LOCK_FIXES: Mapping[str, str] = {
    "unit-euclidean": "distance=euclidean normalize=true",
    "unit-lp": "distance=euclidean normalize=true",
    "cosine": "distance=cosine",
    "similarity": "distance=cosine",
    "raw-inner-product": "distance=inner-product normalize=false",
}

DEFAULT_PER_CLASS = 4
"""Items of a class in a batch of the balanced sampler where its options do not say."""

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
) -> list[Finding]:
    """Everything there is to say about a configuration, refusals first.

    Args:
        classes: of the data set; None where it is not known yet, which leaves out the rules that need it.
        smallest_class: items of its smallest class.
        items: of the data set.
    """
    found = list(_data_rules(config, classes, smallest_class, items))
    for lane in config.lanes:
        found += _lane_rules(config, lane, classes, items)
    order = ("refuse", "warn", "info")
    return sorted(found, key=lambda finding: order.index(finding.level))


def refuse(findings: list[Finding]) -> None:
    """Raise `InputError` with the sentences of the refusals, if there are any."""
    sentences = [
        f"{f'Lane {finding.lane!r}: ' if finding.lane else ''}{finding.sentence}"
        for finding in findings
        if finding.level == "refuse"
    ]
    if sentences:
        raise InputError(" ".join(sentences))


def impossible(kind: Literal["miner", "loss", "distance"], config: ExperimentConfig, lane: str) -> dict[str, str]:
    """The names of `kind` that cannot replace the lane's own, each with the reason in one sentence.

    Options of a replaced miner or loss are its defaults. Only refusals count, and only those of the choice itself.
    """
    own = config.lane(lane)
    before = {finding.rule for finding in _lane_rules(config, own, None, None) if finding.level == "refuse"}
    names = {"miner": MINERS.names, "loss": LOSSES.names, "distance": _distances}[kind]()
    reasons = {}
    for name in names:
        replaced = own.model_copy(update={kind: name} | ({f"{kind}_options": {}} if kind != "distance" else {}))
        findings = _lane_rules(config, replaced, None, None)
        concerned = [f for f in findings if f.level == "refuse" and (f.rule not in before or f.rule in _ABOUT[kind])]
        if concerned:
            reasons[name] = concerned[0].sentence
    return reasons


_ABOUT: Mapping[str, tuple[str, ...]] = {
    "miner": ("C1", "C5", "C12", "C19", "C34", "gone"),
    "loss": ("C1", "C6", "C8", "C12", "C13", "C16", "C28", "C30", "C31", "C32", "C33"),
    "distance": ("C5", "C6", "C8"),
}
"""Refusals that speak of each kind of choice, whatever the lane had before."""


def _distances() -> list[str]:
    return ["euclidean", "squared-euclidean", "cosine", "inner-product"]


def loss_traits(name: str) -> LossTraits:
    """What the rules know of the loss `name`."""
    options = LOSSES.entry(name).options
    if _is_library(options):
        declared = {
            field.name: getattr(options, field.name) for field in fields(LossTraits) if hasattr(options, field.name)
        }
        return LossTraits(**declared)
    return OWN_LOSSES.get(name, LossTraits())


def _is_library(options: Options | type[Options]) -> bool:
    """Whether these are the options of one of pytorch-metric-learning's classes, which declare their traits."""
    return hasattr(options, "library_name")


def _data_rules(
    config: ExperimentConfig, classes: int | None, smallest_class: int | None, items: int | None
) -> Iterator[Finding]:
    if classes is not None and classes < 2:
        yield Finding("C23", "", "refuse", "The data have one class: there is nothing to separate.")
        return
    if smallest_class is not None and smallest_class < 2:
        yield Finding("C24", "", "warn", "Some classes have one item only: it can be a negative but never an anchor.")
    in_batch = any(MINERS.entry(lane.miner).scope == "batch" for lane in config.lanes)
    if not in_batch:
        return
    per_class = _per_class(config)
    if per_class is not None and per_class < 2:
        yield Finding("C17", "", "refuse", "There are no positive pairs with one item per class in a batch.",
                      "sampler.options.per_class=4")  # fmt: skip
    if config.sampler.name == "random" and classes is not None:
        batch = config.sampler.batch if items is None else min(config.sampler.batch, items)
        pairs = batch * (batch - 1) / 2 / classes
        if pairs < 1:
            yield Finding(
                "C18", "", "warn",
                f"Expect {pairs:.2g} positive pairs in a batch of {batch} drawn at random from {classes} classes.",
                "sampler.name=balanced",
            )  # fmt: skip


def _lane_rules(
    config: ExperimentConfig, lane: LaneConfig, classes: int | None, items: int | None
) -> Iterator[Finding]:
    if lane.sampler is not None:
        config = config.model_copy(update={"sampler": lane.sampler})
    traits = loss_traits(lane.loss)
    loss = LOSSES.validate(lane.loss, lane.loss_options)
    miner = MINERS.validate(lane.miner, lane.miner_options)
    if getattr(miner, "gone", ""):
        yield Finding("gone", lane.name, "refuse", getattr(miner, "gone", ""))
    for unmet in (*unmet_by_loss(config, lane, loss), *unmet_by_miner(lane, miner)):
        yield Finding(unmet.rule, lane.name, "refuse", unmet.sentence, unmet.fix)
    yield from _inside_rules(config, lane, miner)
    yield from _tuple_rules(lane, traits)
    yield from _distance_rules(lane, traits, miner, loss)
    yield from _order_rules(config, lane)
    yield from _margin_rules(lane, traits, miner, loss)
    yield from _size_rules(config, lane, traits, miner, loss, classes)
    yield from _search_rules(lane, miner, items)
    yield from _temperature_rules(lane, loss)
    yield from _start_rules(config, lane)
    for idle in without_effect(lane, miner):
        yield Finding(idle.rule, lane.name, "warn", idle.sentence, idle.fix, alarm_level="hint")


def _inside_rules(config: ExperimentConfig, lane: LaneConfig, miner: Options) -> Iterator[Finding]:
    """What the miner 'maximum-loss' cannot have inside: another miner and a loss, on the lane's distance."""
    if lane.miner != "maximum-loss":
        return

    def found(sentence: str) -> Finding:
        return Finding("C34", lane.name, "refuse", f"Inside the miner 'maximum-loss': {sentence}")

    inner = str(getattr(miner, "miner", None) or "all-pairs")
    inside = lane.model_copy(
        update={
            "miner": inner,
            "miner_options": getattr(miner, "miner_options", {}),
            "loss": getattr(miner, "loss", "triplet-margin"),
            "loss_options": getattr(miner, "loss_options", {}),
        }
    )
    try:
        if MINERS.entry(inner).scope != "batch" or inner in ("none", "maximum-loss"):
            yield found(f"'{inner}' does not look inside a batch for tuples.")
            return
        loss = LOSSES.validate(inside.loss, inside.loss_options)
        alone = loss_traits(inside.loss).own_weights or getattr(loss, "learn_beta", "no") == "per-class"
        if alone or getattr(loss, "primary", "none") != "none" or getattr(loss, "layers", "last") == "all":
            yield found(f"'{inside.loss}' with these options needs more than embeddings and labels.")
        elif getattr(loss, "weighting", None) == "features":
            yield found(f"'{inside.loss}' with weighting = features needs more than embeddings and labels.")
        else:
            rules = ("C1", "C5", "C6", "C8", "C28", "C30", "C32", "gone")
            refused = [rule for rule in _lane_rules(config, inside, None, None) if rule.level == "refuse"]
            yield from (found(rule.sentence) for rule in refused if rule.rule in rules)
    except InputError as error:
        yield found(str(error))


def _mines(lane: LaneConfig) -> bool:
    """Whether the lane hands its loss chosen tuples rather than leaving the choice to chance."""
    return lane.miner not in ("random", "none") and lane.hard_share > 0


def _tuple_rules(lane: LaneConfig, traits: LossTraits) -> Iterator[Finding]:
    def found(rule: str, level: Level, sentence: str) -> Finding:
        return Finding(rule, lane.name, level, sentence)

    if traits.bug:
        yield found("C28", "refuse", f"{lane.loss} is known to be wrong in pytorch-metric-learning 2.9: {traits.bug}.")
        return
    match traits.use:
        case "none" if lane.miner != "none":
            yield found("C1", "refuse", f"The loss '{lane.loss}' does not use mined tuples.")
        case "weights" if _mines(lane):
            yield found("C2", "warn", f"Mining only re-weights the items of '{lane.loss}'.")
        case "one-pair" if _mines(lane):
            yield found("C3", "warn", f"'{lane.loss}' uses at most one positive pair of each class.")
        case "positives" if _mines(lane):
            yield found("C4", "warn", f"'{lane.loss}' ignores mined negatives.")


def _fits(lock: str, lane: LaneConfig) -> bool:
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


def _distance_rules(lane: LaneConfig, traits: LossTraits, miner: Options, loss: Options) -> Iterator[Finding]:
    locked = lane.miner in UNIT_EUCLIDEAN_MINERS or getattr(miner, "unit_euclidean_only", False)
    if locked and not _fits("unit-euclidean", lane):
        yield Finding(
            "C5", lane.name, "refuse",
            f"The miner '{lane.miner}' needs {LOCK_WORDS['unit-euclidean']}.", LOCK_FIXES["unit-euclidean"],
        )  # fmt: skip
    if not _fits(traits.lock, lane):
        yield Finding(
            "C6", lane.name, "refuse",
            f"The loss '{lane.loss}' needs {LOCK_WORDS[traits.lock]}.", LOCK_FIXES[traits.lock],
        )  # fmt: skip
    if traits.lock == "snr" and _mines(lane):
        yield Finding(
            "C7", lane.name, "warn",
            f"The miner ranks pairs by {lane.distance} distance, '{lane.loss}' by its own signal-to-noise distance.",
        )  # fmt: skip
    similarity = lane.distance in ("cosine", "inner-product")
    margins = {name: getattr(loss, name, None) for name in ("pos_margin", "neg_margin")}
    if traits.distance_margins and similarity and _is_library(loss):
        pos, neg = margins["pos_margin"], margins["neg_margin"]
        if pos is not None and neg is not None and pos <= neg:
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


def _margin_rules(lane: LaneConfig, traits: LossTraits, miner: Options, loss: Options) -> Iterator[Finding]:
    reach = _reach(lane)
    squared = bool(getattr(loss, "squared", False)) and lane.distance == "euclidean"
    limit = reach**2 if squared else reach
    names = ("margin",) if traits.needs_triplets else ("pos_margin", "neg_margin") if traits.distance_margins else ()
    for name in names:
        value = getattr(loss, name, None)
        if isinstance(value, int | float) and value > limit:
            yield Finding(
                "C9", lane.name, "warn",
                f"The largest possible distance is {limit:g}: {name} = {value:g} can never be met.",
            )  # fmt: skip
    own = getattr(miner, "margin", None)
    wanted = getattr(loss, "margin", None)
    if lane.miner in SELECTORS and traits.needs_triplets and isinstance(wanted, int | float) and own != wanted:
        yield Finding(
            "C11", lane.name, "warn",
            f"The miner's margin ({own:g}) should match the loss's ({wanted:g}).", f"miner_options.margin={wanted:g}",
        )  # fmt: skip


def _order_rules(config: ExperimentConfig, lane: LaneConfig) -> Iterator[Finding]:
    if lane.miner != "EmbeddingsAlreadyPackagedAsTriplets":
        return
    if config.sampler.batch % 3 or str(config.sampler.name) == "balanced" or str(config.sampler.name) == "random":
        yield Finding(
            "C12", lane.name, "refuse",
            f"'{lane.miner}' needs rows in the order anchor, positive, negative; the sampler '{config.sampler.name}' "
            f"with batches of {config.sampler.batch} does not give them so.",
        )  # fmt: skip


def _per_class(config: ExperimentConfig) -> int | None:
    """Items of a class in a batch, where the sampler fixes that."""
    if str(config.sampler.name) != "balanced":
        return None
    value = config.sampler.options.get("per_class", DEFAULT_PER_CLASS)
    return value if isinstance(value, int) else None


def _size_rules(
    config: ExperimentConfig, lane: LaneConfig, traits: LossTraits, miner: Options, loss: Options, classes: int | None
) -> Iterator[Finding]:
    if traits.own_weights and classes is not None and classes < 1:
        yield Finding("C13", lane.name, "refuse", f"'{lane.loss}' needs the number of classes.")
    triplets = _triplets_of_a_step(config, lane, traits, miner, classes)
    if triplets is not None and triplets > JOIN_LIMIT:
        capped = hasattr(miner, "max_tuples")
        gigabytes = 24 * triplets / 2**30
        yield Finding(
            "C19", lane.name, "refuse",
            f"Up to {triplets / 1e6:.0f} million triplets a step need {gigabytes:.1f} GB; "
            f"{'cap them with max_tuples' if capped else 'take a smaller batch'}.",
            "miner_options.max_tuples=1000000" if capped else None,
        )  # fmt: skip
    if lane.memory and MINERS.entry(lane.miner).scope == "batch" and not traits.takes_reference:
        yield Finding("C16", lane.name, "refuse", f"'{lane.loss}' cannot look at a memory of past embeddings.")
    embedding = getattr(MODELS.validate(config.model.name, config.model.options), "embedding", None)
    alpha = getattr(loss, "largest_alpha", None)
    if lane.loss == "dtsh" and isinstance(alpha, int | float) and isinstance(embedding, int) and alpha >= embedding:
        yield Finding(
            "C20", lane.name, "refuse", f"alpha = {alpha:g} is a margin in bits, but codes have only {embedding} bits.",
        )  # fmt: skip
    if lane.miner in ("distance-weighted", "DistanceWeightedMiner") and isinstance(embedding, int) and embedding <= 3:
        flat = "In 3 dimensions the weights are nearly flat, 1 / distance."
        yield Finding("C26", lane.name, "warn", flat, alarm_level="hint")


def _triplets_of_a_step(
    config: ExperimentConfig, lane: LaneConfig, traits: LossTraits, miner: Options, classes: int | None
) -> float | None:
    """The most triplets one step can have, where mining inside a batch multiplies them; None where it does not."""
    if MINERS.entry(lane.miner).scope != "batch":
        return None
    batch = config.sampler.batch
    per_class = _per_class(config) or (batch / classes if classes else None)
    if per_class is None:
        return None
    everything = batch * max(per_class - 1, 0) * max(batch - per_class, 0)
    each = getattr(miner, "max_per_anchor", None)
    caps = [getattr(miner, "max_tuples", None), each * batch if each else None]
    cap = min((number for number in caps if number), default=None)
    if lane.miner in ("triplet-margin", "angular", "TripletMarginMiner", "AngularMiner"):
        return min(everything, cap) if cap else everything
    if lane.miner == "all-triplets":
        return min(everything / 2, cap) if cap else everything / 2
    joins = traits.needs_triplets and lane.miner in JOINED_MINERS
    return everything if joins and not cap else None


def _search_rules(lane: LaneConfig, miner: Options, items: int | None) -> Iterator[Finding]:
    if lane.miner not in ("lsh", "lsh-buckets"):
        return
    sign = getattr(miner, "family", None) == "sign"
    if sign and lane.distance in ("euclidean", "squared-euclidean") and not lane.normalize:
        yield Finding(
            "C15", lane.name, "refuse",
            "Sign bits see angles only, not the distance from the origin, but the lane compares distances.",
            "miner_options.family=affine",
        )  # fmt: skip
    if items is not None and items <= 100_000:
        as_fast = f"Exact search ('knn') is about as fast for {items} items in 3-D."
        yield Finding("C27", lane.name, "info", as_fast, alarm_level="hint")


def _temperature_rules(lane: LaneConfig, loss: Options) -> Iterator[Finding]:
    if lane.loss != "snnl":
        return
    temperature, schedule = getattr(loss, "temperature", None), getattr(loss, "schedule", None)
    # The mean distance of unit rows is at most half the largest; of others it shows in the first batch.
    mean = 1.0 if lane.distance == "cosine" else 2.0 if lane.normalize else math.inf
    if schedule == "fixed" and isinstance(temperature, int | float) and temperature > 10 * mean:
        yield Finding(
            "C22", lane.name, "warn",
            f"At temperature {temperature:g} every neighbour looks equal and the loss sits on its chance line: the "
            f"mean distance is at most {mean:g}. Without a temperature given, it is the mean distance.",
            alarm_level="hint",
        )  # fmt: skip
    if schedule in ("learned", "searched") and getattr(loss, "factor", 0.0) < 0:
        yield Finding(
            "C21", lane.name, "info",
            f"The temperature is {schedule} apart from the network: it goes where the classes look least entangled, "
            "while the negative factor has the network entangle them.",
        )  # fmt: skip


def _start_rules(config: ExperimentConfig, lane: LaneConfig) -> Iterator[Finding]:
    waits = lane.warmup > 0 or lane.warmup_below is not None
    if config.model.name == "identity":
        return
    if _mines(lane) and lane.warmup >= config.steps:
        yield Finding(
            "warm-up", lane.name, "warn",
            f"'{lane.miner}' never mines: the warm-up of {lane.warmup:,} steps is not over after {config.steps:,}.",
            "warmup=0",
        )  # fmt: skip
    pool: Any = getattr(MINERS.validate(lane.miner, lane.miner_options), "pool", 1)
    hardest = lane.miner in HARD_MINERS and lane.hard_share == 1 and pool == 1
    if hardest and not waits and config.optimizer.lr > SUGGESTED_LR:
        yield Finding(
            "C25", lane.name, "warn",
            f"The hardest negatives from the first step on, at a learning rate of {config.optimizer.lr:g}, often end "
            "in collapse; start with random ones.",
            "warmup=200",
        )  # fmt: skip
