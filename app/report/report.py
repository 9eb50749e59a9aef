"""What a recording came to as one page of HTML: no other file, no address, and only its own script may run in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from app.picture.theme import DARK, LIGHT, Theme
from app.progress import Progress
from app.report.clouds import clouds, colour
from app.report.histograms import BAND_COLOURS, histograms
from app.report.pictures import pictures
from app.report.plots import bars, curves
from hnm_core.cli.commands import recording_facts
from hnm_core.cli.result_tables import DOCUMENT_COLUMNS, RESULT_COLUMNS, document_rows, result_rows
from hnm_core.errors import InputError
from hnm_core.recording import Recording, open_recording
from hnm_core.recording.results import inspected
from hnm_core.run.auditing import COLUMNS as AUDIT_COLUMNS
from hnm_core.run.auditing import cells
from hnm_core.run.cost import step_cost
from hnm_core.run.events import Alarm
from hnm_core.run.hardness import Hardness
from hnm_core.run.history import RunHistory
from hnm_core.run.results import DOCUMENT_NAMES, LaneResult
from hnm_core.run.timing import MINING_COLUMNS, PHASES
from hnm_core.spec.config import dump
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.resources import resource_dir
from hnm_core.system.paths import why
from hnm_core.system.whole_files import write_whole
from hnm_core.words import percent, size

CURVES = {
    "map_at_r": "MAP@R",
    "precision_at_1": "P@1",
    "knn_accuracy": "kNN",
    **DOCUMENT_NAMES,
    "mining_recall": "Recall of the search",
}
"""By metric; of those that a run was not measured by there is none."""
LANE_COLOURS = tuple(f"var(--lane-{place})" for place in range(len(DARK.lanes)))
"""As the style of the page has them, dark and light."""
MOST_BYTES = 8_000_000
"""Of a page: pictures are left out where it would be larger. All else in it has bounds of its own."""
MOST_ROWS = 300
"""Of a table of alarms or changes."""
MOST_BACK = 8
"""So many frames are looked at for one that tells how hard a lane mined."""
_SMOOTHING = 0.9
_STEPS = 4


def write_report(folder: str | Path, out: str | Path, *, progress: Progress = lambda done, total: True) -> Path | None:
    """Write the page, whole or not at all; None where it was called off.

    Raises:
        InputError: no recording, or a file that cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{out}' is not allowed: a report has a name that ends in .html.")
    recording = open_recording(folder)
    recording.check()
    if not progress(1, _STEPS):
        return None
    text = page(recording)
    if not progress(_STEPS - 1, _STEPS):
        return None
    try:
        write_whole(out, text)
    except OSError as error:
        raise InputError(f"'{out}' cannot be written: {why(error)}.") from error
    progress(_STEPS, _STEPS)
    return out


def page(recording: Recording) -> str:
    """The page as text, at most about `MOST_BYTES`. Every word of a recording stands in it escaped."""
    whole = _page(recording, pictures(recording))
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    return _page(recording, f"<p>Left out, as the page would be larger than {size(MOST_BYTES)}.</p>")


def _page(recording: Recording, moments: str) -> str:
    summary, results = inspected(recording)
    history, config = recording.history(), recording.config
    script = (resource_dir() / "report" / "page.js").read_text(encoding="utf-8")
    style = (resource_dir() / "report" / "page.css").read_text(encoding="utf-8")
    style += _colours(DARK) + f"@media (prefers-color-scheme: light) {{ {_colours(LIGHT)} }}"
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{seal}'"
    if config.model.name == "identity":
        table = _table(tuple(AUDIT_COLUMNS), map(cells, results))
    elif is_over_documents(config.data.name):
        table = _table(DOCUMENT_COLUMNS, document_rows(results, recording.started.chance or {}))
    else:
        table = _table(RESULT_COLUMNS, result_rows(results, summary["raw"]))
    alarms = [(f"{event.step:,}", event.lane, event.message) for event in recording.events if isinstance(event, Alarm)]
    changes = [(f"{one['step']:,}", one["lane"], one["text"]) for one in summary["changes"]]
    facts = [*recording_facts(summary), ("seed", str(config.seed)), ("threads", str(config.threads))]
    parts = [
        f"<h1>{escape(config.title)}</h1><p>{escape(config.about)}</p>",
        _part("Results", table),
        _part("Clouds that can be turned", _clouds(recording)),
        _part("Moments", moments),
        _part("Curves", _curves(history)),
        _part("Mining time of a step by phase", _bars(history)),
        _part("How hard what was mined is", _hardness(recording, results)),
        _part("Alarms", _told("alarms", alarms)),
        _part("Changes", _told("changes", changes)),
        _part("The run", _table(("", ""), [fact for fact in facts if fact[0] != "folder"])),
        _part("What was asked", f"<pre>{escape(dump(config))}</pre>"),
    ]
    return (
        (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{policy}"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(config.title)}</title><style>{style}</style></head>\n<body>\n"
            + "\n".join(parts)
            + f"\n<script>{script}</script></body></html>\n"
        )
        .encode("utf-8", "replace")
        .decode()
    )  # a file may name what is no text


def _colours(theme: Theme) -> str:
    lanes = "".join(f"--lane-{place}:{colour(rgb)};" for place, rgb in enumerate(theme.lanes))
    bands = {"hard": theme.hard_edge, "semi-hard": theme.semi_hard_edge, "easy": theme.easy_edge}
    return f":root {{{lanes}{''.join(f'--{name}-band:{colour(rgb)};' for name, rgb in bands.items())}}}"


def _part(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns) if any(columns) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _curves(history: RunHistory) -> str:
    loss = {name: (lane.steps.astype(float), lane.smoothed_loss(_SMOOTHING)) for name, lane in history.lanes.items()}
    plots = {"Loss, smoothed": curves("Loss", loss, LANE_COLOURS)}
    for metric, name in CURVES.items():
        measured = {name: lane.metric(metric) for name, lane in history.lanes.items()}
        lines = {name: (steps.astype(float), values) for name, (steps, values) in measured.items()}
        plots[name] = curves(name, lines, LANE_COLOURS)
    drawn = "".join(f"<figure><h3>{escape(name)}</h3>{plot}</figure>" for name, plot in plots.items() if plot)
    return _key(dict(zip(history.lanes, LANE_COLOURS * len(history.lanes), strict=False))) + drawn if drawn else ""


def _bars(history: RunHistory) -> str:
    names = {
        str(PHASES[column]): LANE_COLOURS[place % len(LANE_COLOURS)] for place, column in enumerate(MINING_COLUMNS)
    }
    spent = {name: step_cost(lane).phase_ms for name, lane in history.lanes.items()}
    rows = {
        name: {str(PHASES[column]): float(phases[column]) for column in MINING_COLUMNS}
        for name, phases in spent.items()
        if np.isfinite(phases).all()
    }
    drawn = bars(rows, names)
    return _key(names) + drawn if drawn else ""


def _key(colours: Mapping[str, str]) -> str:
    marks = (
        f'<span class="mark"><span style="color:{shade}">&#9632;</span> {escape(name)}</span>'
        for name, shade in colours.items()
    )
    return f"<p>{' &nbsp; '.join(marks)}</p>"


def _hardness(recording: Recording, results: Sequence[LaneResult]) -> str:
    rows = [
        (one.lane, f"{one.mined:,}", *map(_unbroken, (one.hard_share, one.semi_hard_share, one.easy_share)))
        for one in results
        if one.mined
    ]
    table = _table(("lane", "mined", "hard", "semi-hard", "easy"), rows) if rows else ""
    last = {lane: found for lane in recording.lanes if (found := _last_hardness(recording, lane)) is not None}
    drawn = histograms(last)
    if not drawn:
        return table
    said = (
        "At the end, by how much farther the negative is than the positive: left of 0 it is nearer (hard), up to the "
        "dashed margin of the loss semi-hard. Every lane has its own height."
    )
    return f"{table}{_key(dict(zip(('hard', 'semi-hard', 'easy'), BAND_COLOURS, strict=True)))}<p>{said}</p>{drawn}"


def _unbroken(share: float) -> str:
    return percent(share).replace(" ", "\u00a0")


def _last_hardness(recording: Recording, lane: str) -> tuple[int, Hardness] | None:
    """The step of the last frame of a lane that tells how hard it mined, and what it tells."""
    count = len(recording.frame_steps(lane))
    for place in range(count - 1, max(count - MOST_BACK, 0) - 1, -1):
        frame = recording.frame(lane, place)
        if frame.hardness is not None:
            return frame.step, frame.hardness
    return None


def _told(what: str, rows: Sequence[tuple[str, str, str]]) -> str:
    """A table of what happened, the first `MOST_ROWS`."""
    if not rows:
        return ""
    more = f"<p>The first {MOST_ROWS} of {len(rows):,} {what}.</p>" if len(rows) > MOST_ROWS else ""
    return more + _table(("step", "lane", "what"), rows[:MOST_ROWS])


def _clouds(recording: Recording) -> str:
    drawn = []
    for place, (lane, cloud) in enumerate(clouds(recording).items()):
        held = json.dumps(cloud).replace("<", "\\u003c")
        last = len(cloud["steps"]) - 1
        drawn.append(
            f'<figure data-cloud="cloud-{place}"><h3>{escape(lane)}</h3><canvas tabindex="0" role="img" '
            f'aria-label="Cloud of {escape(lane)}; arrow keys turn it, + and - zoom"></canvas>'
            f'<input type="range" min="0" max="{last}" value="{last}" aria-label="Moment of {escape(lane)}">'
            f"<figcaption><output></output> {escape(cloud['projection'])}</figcaption>"
            f'<script type="application/json" id="cloud-{place}">{held}</script></figure>'
        )
    said = "Drag, or use the arrow keys; lines join anchors with negatives that are nearer than the positive."
    return f'<p>{said}</p><div class="clouds">{"".join(drawn)}</div>' if drawn else ""
