"""Figures of comparisons and of searches for options, as PNG and SVG. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.studies.comparing import Trial, estimate
from hnm_core.system.paths import text_of
from hnm_core.system.whole_files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hnm_core.studies.auditing import Row

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c510a", "#999999", "#b8b000")
"""Okabe and Ito's palette, which the colour-blind can tell apart, and two more."""


MARKS = "osD^vPX*<>"
"""Of points that are of different kinds."""


def require_matplotlib() -> None:
    """Raises `InputError` where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        raise InputError('Plots need matplotlib: pip install "hnm-lab[plots]".') from None


def plot_curves(
    trials: Sequence[Trial], title: str, paths: Sequence[Path], measured: str = "MAP@R on held-out items"
) -> None:
    """What was `measured` over the steps: the mean of each lane over the seeds, its 95 % interval as a band."""
    figure, axes = _figure(title)
    for colour, lane in zip(_colours(), trials[0].curves, strict=False):
        by_step: dict[int, list[float]] = {}
        for trial in trials:
            for step, value in trial.curves.get(lane, ()):
                by_step.setdefault(step, []).append(value)
        if not by_step:
            continue
        steps = sorted(by_step)
        middle = [estimate(by_step[step]) for step in steps]
        mean = np.array([point.mean for point in middle])
        half = np.nan_to_num(np.array([point.half_width for point in middle]))
        axes.plot(steps, mean, color=colour, label=lane)
        axes.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("step")
    axes.set_ylabel(measured)
    if axes.lines:
        axes.legend(frameon=False)
    _save(figure, paths)


def plot_over_time(
    trials: Sequence[Trial], title: str, paths: Sequence[Path], measured: str = "MAP@R on held-out items"
) -> None:
    """What was `measured` over seconds of training: a thin line for each seed, which spends its own time, and the mean
    of the seeds that were measured by then and went on; where there is no such time, a point for the mean of their
    ends."""
    figure, axes = _figure(title)
    for colour, lane in zip(_colours(), trials[0].curves, strict=False):
        curves = [
            (np.array(trial.seconds[lane]), np.array([value for _, value in trial.curves[lane]]))
            for trial in trials
            if trial.seconds.get(lane)
        ]
        if not curves:
            continue
        for seconds, values in curves:
            axes.plot(seconds, values, color=colour, alpha=0.25, linewidth=0.7, marker=".", markersize=3)
        begun, ended = max(seconds[0] for seconds, _ in curves), min(seconds[-1] for seconds, _ in curves)
        if begun < ended:
            at = np.linspace(begun, ended, 200)
            axes.plot(at, np.mean([np.interp(at, *curve) for curve in curves], axis=0), color=colour, label=lane)
        else:
            end = np.mean([(seconds[-1], values[-1]) for seconds, values in curves], axis=0)
            axes.plot(*end, "o", color=colour, label=lane)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(measured)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    _save(figure, paths)


def plot_search(
    option: str, values: Sequence[object], scores: Sequence[float], metric: str, paths: Sequence[Path]
) -> None:
    """What an option's values scored on the validation part; the best is marked."""
    figure, axes = _figure(f"{metric} by {option}")
    best = int(np.argmax(scores))
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    shown: list[Any] = list(values) if numeric else [str(value) for value in values]
    axes.scatter(shown, scores, color=COLOURS[0])
    axes.scatter([shown[best]], [scores[best]], color=COLOURS[1], zorder=3, label=f"best: {shown[best]}")
    if numeric and min(shown) > 0 and max(shown) / min(shown) > 50:
        axes.set_xscale("log")
    axes.set_xlabel(option)
    axes.set_ylabel(metric)
    axes.legend(frameon=False)
    _save(figure, paths)


def plot_lines(
    lines: Mapping[str, Sequence[tuple[float, float]]], title: str, across: str, up: str, paths: Sequence[Path]
) -> None:
    """Lines of points (x, y), both axes logarithmic."""
    figure, axes = _figure(title)
    for colour, (name, points) in zip(_colours(), lines.items(), strict=False):
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend(frameon=False, fontsize="small")
    _save(figure, paths)


def plot_map(points: NDArray[np.floating], labels: NDArray[np.int64], title: str, path: Path) -> None:
    """(N, 2) points coloured by class; beyond the palette colours repeat and the legend is left out."""
    figure, axes = _figure(title)
    classes = np.unique(labels)
    for place, value in enumerate(classes):
        own = points[labels == value]
        axes.scatter(own[:, 0], own[:, 1], s=6, color=COLOURS[place % len(COLOURS)], label=str(value), linewidths=0)
    axes.set_aspect("equal", "datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    if len(classes) <= len(COLOURS):
        axes.legend(frameon=False, markerscale=2)
    _save(figure, [path])


def plot_audit(rows: Sequence[Row], title: str, across: str, paths: Sequence[Path]) -> None:
    """Hardness over the share of false negatives: a colour for each way, a mark for each search, a line through
    the pareto front. `across` says what false means."""
    figure, axes = _figure(title)
    ways, searches = (list(dict.fromkeys(getattr(row, field) for row in rows)) for field in ("way", "search"))
    front = sorted((100 * row.false, 100 * row.hardness) for row in rows if row.front)
    axes.plot(*np.reshape(front, (-1, 2)).T, color="#999999", linewidth=1, drawstyle="steps-post")
    for row in rows:
        axes.scatter(
            100 * row.false,
            100 * row.hardness,
            color=COLOURS[ways.index(row.way) % len(COLOURS)],
            marker=MARKS[searches.index(row.search) % len(MARKS)],
            s=60 if row.front else 30,
            alpha=0.9,
            zorder=3,
        )
    for place, way in enumerate(ways):
        axes.plot([], [], "o", color=COLOURS[place % len(COLOURS)], label=way)
    for place, search in enumerate(searches):
        if search:
            axes.plot([], [], MARKS[place % len(MARKS)], color="#666666", label=search)
    axes.plot([], [], color="#999999", linewidth=1, label="pareto front")
    axes.set_xlabel(across)
    axes.set_ylabel("hardness kept x negatives found, %\n(random: 0, the exact nearest: 100)")
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, paths)


def _colours() -> list[str]:
    return [*COLOURS, *COLOURS]


def _figure(title: str) -> tuple[Figure, Any]:
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(text_of(title), parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _save(figure: Figure, paths: Sequence[Path]) -> None:
    for legend in filter(None, (axes.get_legend() for axes in figure.axes)):
        for text in legend.get_texts():  # names of the user's, which are no formulas
            text.set_parse_math(False)
            text.set_text(text_of(text.get_text()))
    for path in paths:
        try:
            with whole_file(path) as part:
                figure.savefig(part, dpi=150, format=path.suffix.removeprefix(".").lower())
        except OSError as error:
            raise InputError(f"Cannot write '{path}': {error.strerror or error}.") from error
