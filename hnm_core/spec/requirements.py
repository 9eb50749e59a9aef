"""What losses and miners need of their lane by their own options: a distance, margins in order, a model, no memory;
and which options of a lane do nothing beside the others.

The implementations refuse the same when they are made or called; here it is known before anything runs, without torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import MINERS, MODELS, Options

DISTANCE_WORDS = {
    "euclidean": "Euclidean",
    "squared-euclidean": "squared Euclidean",
    "cosine": "cosine",
    "inner-product": "inner-product",
}
TRUE_DISTANCES = ("euclidean", "squared-euclidean", "cosine")
"""Distances that are 0 for equal points and never below, unlike an inner product."""

CODERS = ("autoencoder",)
"""Models that give their input back."""


class Unmet(NamedTuple):
    """One thing that a loss or a miner needs and its lane does not give, or that a lane gives in vain."""

    rule: str
    sentence: str
    fix: str | None = None
    """Settings that mend it, as `hnm_core.spec.compatibility.Finding.fix`."""


def unmet_by_loss(config: ExperimentConfig, lane: LaneConfig, loss: Options) -> Iterator[Unmet]:
    """What the loss of `lane`, whose options are `loss`, needs and does not get."""
    yield from _distance(lane, loss)
    yield from _margins(lane, loss)
    yield from _memory(lane, loss)
    if getattr(loss, "weighting", None) == "given":
        yield Unmet(
            "C30",
            f"'{lane.loss}' with weighting = given takes its weights from the caller of the library; a lane has none "
            "to give.",
            "loss_options.weighting=embeddings",
        )
    if lane.loss == "VICRegLoss":
        yield Unmet("C32", "'VICRegLoss' compares two views of the same items, and a lane has one.")
    proxies = getattr(loss, "K", None)
    if lane.loss == "ManifoldLoss" and isinstance(proxies, int) and proxies > config.sampler.batch:
        yield Unmet(
            "C33",
            f"'{lane.loss}' with K = {proxies} proxies needs as many items in a batch, not {config.sampler.batch}.",
            f"loss_options.K={config.sampler.batch}",
        )
    if lane.loss == "snnl":
        yield from _model(config, loss)


def unmet_by_miner(lane: LaneConfig, miner: Options) -> Iterator[Unmet]:
    """What the miner of `lane`, whose options are `miner`, needs and does not get."""
    similarity = lane.distance in ("cosine", "inner-product")
    for name, other in (("max_score", "min_distance"), ("min_score", "max_distance")):
        if getattr(miner, name, None) is not None and not similarity:
            yield Unmet(
                "C5",
                f"{name} of the miner '{lane.miner}' bounds a similarity, but the distance is {lane.distance}; "
                f"bound it by {other}.",
            )
    on_sphere = lane.normalize or lane.distance == "cosine"
    if getattr(miner, "select", None) == "distance-weighted" and not on_sphere:
        yield Unmet(
            "C5", f"The miner '{lane.miner}' with select = distance-weighted needs points on the unit sphere.",
            "normalize=true",
        )  # fmt: skip


def without_effect(lane: LaneConfig, miner: Options) -> Iterator[Unmet]:
    """Options of `lane`, whose miner's options are `miner`, that differ from their defaults and do nothing."""
    in_batch = MINERS.entry(lane.miner).scope == "batch"
    refreshing = ("refresh", "refresh_every", "refresh_lag", "drift_threshold")
    reasons: dict[str, str] = {}
    if in_batch:
        reasons |= dict.fromkeys(
            refreshing, f"'{lane.miner}' looks at the batch itself, not at a bank of the whole set"
        )
        reasons["hard_share"] = f"all that '{lane.miner}' finds in a batch is used"
    else:
        reasons["memory"] = f"'{lane.miner}' looks at the whole set; a memory is for miners inside the batch"
        if lane.refresh != "background":
            reasons["refresh_lag"] = f"it belongs to refresh = background, not {lane.refresh}"
        if lane.refresh != "drift":
            reasons["drift_threshold"] = f"it belongs to refresh = drift, not {lane.refresh}"
        if lane.refresh == "epoch":
            reasons["refresh_every"] = "refresh = epoch does not count steps"
    for name, reason in reasons.items():
        yield from _idle("", name, lane, reason)
    select = getattr(miner, "select", None)
    if select is not None and select != "semi-hard":
        yield from _idle("miner_options.", "margin", miner, f"it belongs to select = semi-hard, not {select}")
    if select is not None and select != "distance-weighted":
        for name in ("cutoff", "nonzero_loss_cutoff"):
            yield from _idle("miner_options.", name, miner, f"it belongs to select = distance-weighted, not {select}")


def _idle(before: str, name: str, options: BaseModel, reason: str) -> Iterator[Unmet]:
    value, default = getattr(options, name, None), type(options).model_fields[name].default
    if value != default:
        words = f"{value:g}" if isinstance(value, float) else value
        fix = f"{before}{name}={default}" if default is not None else None
        yield Unmet("C35", f"{before}{name} = {words} has no effect: {reason}.", fix)


def _distance(lane: LaneConfig, loss: Options) -> Iterator[Unmet]:
    name, allowed = f"'{lane.loss}'", tuple(DISTANCE_WORDS)
    match lane.loss:
        case "margin" | "snnl":
            allowed = TRUE_DISTANCES
        case "contrastive":
            variant = getattr(loss, "variant", "hinge")
            name += f" with variant = {variant}"
            allowed = {"hinge": allowed, "squared-2019": TRUE_DISTANCES[:2]}.get(variant, TRUE_DISTANCES)
        case "triplet-margin" if getattr(loss, "squared", False):
            name += " with squared = true"
            allowed = ("euclidean",)
        case "hcl" if getattr(loss, "tau_plus", 0) > 0 and not lane.normalize and lane.distance != "cosine":
            yield Unmet(
                "C6",
                "The loss 'hcl' with tau_plus > 0 needs a bounded distance: cosine, or any on normalised embeddings.",
                "distance=cosine",
            )
    if lane.distance not in allowed:
        *others, last = (DISTANCE_WORDS[metric] for metric in allowed)
        words = f"{', '.join(others)} or {last}" if others else last
        yield Unmet("C6", f"The loss {name} needs {words} distance, not {lane.distance}.", f"distance={allowed[0]}")


def _margins(lane: LaneConfig, loss: Options) -> Iterator[Unmet]:
    if lane.loss not in ("contrastive", "lifted-structure", "generalized-lifted-structure"):
        return
    pos, neg = getattr(loss, "pos_margin", 0.0), getattr(loss, "neg_margin", 1.0)
    if lane.distance == "inner-product":
        if pos <= neg and getattr(loss, "variant", "hinge") == "hinge":
            yield Unmet(
                "C8",
                f"The margins of '{lane.loss}' (pos_margin = {pos:g}, neg_margin = {neg:g}) are for distances, but "
                "inner-product is a similarity: positives should lie above negatives.",
                "loss_options.pos_margin=1 loss_options.neg_margin=0",
            )
    elif not 0 <= pos < neg:
        yield Unmet(
            "C8",
            f"The margins of '{lane.loss}' must be 0 <= pos_margin < neg_margin on the {lane.distance} distance, "
            f"not {pos:g} and {neg:g}.",
            "loss_options.pos_margin=0 loss_options.neg_margin=1",
        )


def _memory(lane: LaneConfig, loss: Options) -> Iterator[Unmet]:
    """What looks at more of a batch than embeddings has nothing to look at in a memory of embeddings."""
    if not lane.memory:
        return
    for field, value, instead in (("layers", "all", "last"), ("weighting", "features", "embeddings")):
        if getattr(loss, field, None) == value:
            yield Unmet(
                "C16",
                f"'{lane.loss}' with {field} = {value} cannot look at a memory of past embeddings.",
                f"loss_options.{field}={instead}",
            )
    if lane.loss == "TripletMarginLoss" and getattr(loss, "swap", False):
        yield Unmet(
            "C16", "'TripletMarginLoss' with swap = true cannot look at a memory of past embeddings.",
            "loss_options.swap=false",
        )  # fmt: skip


def _model(config: ExperimentConfig, loss: Options) -> Iterator[Unmet]:
    model = MODELS.entry(config.model.name)
    ours = model.target.startswith("hnm_core.")  # what another package's model gives is not known here
    if getattr(loss, "primary", "none") == "reconstruction" and ours and model.name not in CODERS:
        yield Unmet(
            "C31",
            f"'snnl' with primary = reconstruction needs a model that gives its input back, such as the autoencoder, "
            f"and '{model.name}' does not.",
            "loss_options.primary=none",
        )
    widths = getattr(MODELS.validate(model.name, config.model.options), "widths", None)
    if getattr(loss, "layers", "last") == "all" and ours and (model.name == "identity" or widths == ()):
        yield Unmet(
            "C31",
            f"'snnl' with layers = all needs a model with hidden layers; '{model.name}' has none.",
            "loss_options.layers=last",
        )
