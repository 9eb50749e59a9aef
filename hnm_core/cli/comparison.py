"""What `compare` shows of several seeds: tables, or one JSON document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hnm_core.cli.console import echo, plain, show_table
from hnm_core.run.results import DOCUMENT_LEVEL, DOCUMENT_NAMES, LESS_IS_BETTER
from hnm_core.run.results import LEVEL as LEVEL_METRIC
from hnm_core.studies.comparing import (
    CONFIDENCE,
    DOCUMENT_METRICS,
    METRICS,
    OF_SOME,
    REACHED,
    Estimate,
    Trial,
    entanglement,
    estimate,
    steps_to,
    summary,
)
from hnm_core.studies.equal_time import at_equal_time, equal_seconds, is_timed, judge_at_equal_time, seconds_to
from hnm_core.studies.verdicts import LEVEL, POWER, Line
from hnm_core.words import number


@dataclass(frozen=True)
class Series:
    """What a series of seeds says by itself."""

    seeds: range
    lines: Sequence[Line]


HEADS = {
    "map_at_r": "MAP@R",
    "precision_at_1": "P@1",
    "knn_accuracy": "kNN",
    "loss": "loss",
    "mining_ms_mean": "mine ms",
    "step_ms_mean": "step ms",
    "mining_recall": "recall",
    "false_share": "false",
    **DOCUMENT_NAMES,
    "accuracy": "accuracy",
    "class_distance_ratio": "within/between",
}


def show(
    trials: Sequence[Trial],
    lanes: Sequence[str],
    base: str,
    lines: Sequence[Line],
    margin: float,
    level: str = LEVEL_METRIC,
    by_seeds: Sequence[Series] = (),
) -> None:
    """The lanes' figures, entanglement where losses look at layers, steps to a level, and the verdicts; those of each
    series of seeds as well, where there are several."""
    measured = [metric for metric in OF_SOME if any(summary(trials, lane, metric).seeds for lane in lanes)]
    columns = tuple(dict.fromkeys((*_metrics(level), *measured, *(line.metric for line in lines))))
    rows = [(lane, *(_shown(summary(trials, lane, metric)) for metric in columns)) for lane in lanes]
    show_table((f"lane, {len(trials)} seeds", *(HEADS[metric] for metric in columns)), rows)
    looked_at = entanglement(trials)
    if looked_at:
        echo()
        layers = dict.fromkeys(layer for values in sorted(looked_at.values(), key=len)[::-1] for layer in values)
        rows = [
            (layer, *(_shown(values[layer]) if layer in values else "-" for values in looked_at.values()))
            for layer in layers
        ]
        show_table(("entanglement", *looked_at), rows)
    if not lines:
        return
    timed = is_timed(trials)
    rows = []
    for lane in lanes:
        steps = steps_to(trials, lane, base)
        took = (_rounded(seconds_to(trials, lane, base), 1),) if timed else ()
        rows.append((lane, _rounded(steps), *took, f"{steps.seeds} of {len(trials)}"))
    echo()
    titles = ("steps", *(("s of training",) if timed else ()), "seeds that got there")
    show_table((f"to {REACHED:.0%} of the {HEADS[level]} of {base}", *titles), rows)
    echo()
    _show_lines(lines, "paired by seed", margin)
    if by_seeds:
        _show_series(by_seeds, lines)
    if timed:
        spent = estimate([equal_seconds(trial) for trial in trials])
        echo()
        echo(f"At equal time: when the quickest lane of a seed was through, after {_rounded(spent, 1)} s of training.")
        rows = [(lane, _shown(at_equal_time(trials, lane))) for lane in lanes]
        show_table(("at equal time", HEADS[level]), rows)
        echo()
        _show_lines(judge_at_equal_time(trials, lanes, base, level, margin), "at equal time", margin)
    over = "this line" if len(lines) == 1 else "the lines of a table"
    echo(
        f"Two-sided paired t tests, corrected over {over} (Holm, {LEVEL:g}). No difference: shown to be smaller than "
        f"{margin:g} (--margin). Seeds that would tell: a difference of {margin:g}, with a chance of {POWER:.0%}."
    )


def _show_series(by_seeds: Sequence[Series], together: Sequence[Line]) -> None:
    """Whether fresh seeds keep the verdicts of the first."""
    first, *fresh = by_seeds
    rows = [
        (_named(line, together), *(row.lines[place].words for row in by_seeds), line.verdict)
        for place, line in enumerate(together)
    ]
    echo()
    titles = (f"seeds {row.seeds[0]}-{row.seeds[-1]}" for row in by_seeds)
    show_table(("verdict", *titles, "together"), rows)
    for row in fresh:
        kept = sum(now.verdict == line.verdict for now, line in zip(row.lines, first.lines, strict=True))
        lines = "line" if len(together) == 1 else "lines"
        echo(
            f"{kept} of {len(together)} {lines} kept the verdict of the first seeds with those from {row.seeds[0]} on."
        )


def _named(line: Line, lines: Sequence[Line]) -> str:
    """A line by its lanes, and by its metric where that differs from line to line."""
    lanes = f"{line.lane} - {line.base}"
    return lanes if len({other.metric for other in lines}) == 1 else f"{HEADS[line.metric]}: {lanes}"


def _show_lines(lines: Sequence[Line], how: str, margin: float) -> None:
    """The verdicts of one family."""
    rows = [
        (
            _named(line, lines), _shown(line.difference), _p(line.p_corrected), _p(line.p_within), line.words,
        )
        for line in lines
    ]  # fmt: skip
    metrics = dict.fromkeys(HEADS[line.metric] for line in lines)
    titles = ("difference", "p, Holm", f"p of < {margin:g}, Holm", "verdict")
    show_table((f"{', '.join(metrics)}, {how}", *titles), rows)


def document(
    trials: Sequence[Trial],
    lanes: Sequence[str],
    base: str,
    lines: Sequence[Line],
    margin: float,
    level: str = LEVEL_METRIC,
    by_seeds: Sequence[Series] = (),
) -> dict[str, Any]:
    """The same as plain values for JSON, in which None stands for what was not measured."""
    timed = is_timed(trials)
    return {
        "seeds": [trial.seed for trial in trials],
        "failed": {str(trial.seed): list(trial.failed) for trial in trials if trial.failed},
        "confidence": CONFIDENCE,
        "lanes": {
            lane: {
                **{
                    metric: plain(asdict(summary(trials, lane, metric)))
                    for metric in (*_metrics(level), *OF_SOME, *LESS_IS_BETTER)
                },
                "steps_to_level": plain(asdict(steps_to(trials, lane, base))),
                "seconds_to_level": plain(asdict(seconds_to(trials, lane, base))) if timed else None,
                "at_equal_time": plain(asdict(at_equal_time(trials, lane))) if timed else None,
            }
            for lane in lanes
        },
        "entanglement": {
            lane: {layer: plain(asdict(value)) for layer, value in values.items()}
            for lane, values in entanglement(trials).items()
        },
        "level": LEVEL,
        "margin": margin,
        "base": base,
        "lines": [_line(line) for line in lines],
        "by_seeds": [{"seeds": list(row.seeds), "lines": [_line(line) for line in row.lines]} for row in by_seeds],
        "equal_seconds": plain({str(trial.seed): equal_seconds(trial) for trial in trials}) if timed else None,
        "lines_at_equal_time": [_line(line) for line in judge_at_equal_time(trials, lanes, base, level, margin)]
        if timed
        else None,
    }


def _line(line: Line) -> dict[str, Any]:
    return plain(asdict(line)) | {"verdict": line.verdict}


def _metrics(level: str) -> tuple[str, ...]:
    return DOCUMENT_METRICS if level == DOCUMENT_LEVEL else METRICS


def _shown(estimate: Estimate) -> str:
    if not math.isfinite(estimate.mean):
        return "-"
    width = f" +- {estimate.half_width:.4f}" if math.isfinite(estimate.half_width) else ""
    return f"{estimate.mean:.4f}{width}"


def _rounded(estimate: Estimate, digits: int = 0) -> str:
    if estimate.seeds < 2:
        return number(estimate.mean, digits)
    return f"{estimate.mean:,.{digits}f} +- {estimate.half_width:,.{digits}f}"


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
