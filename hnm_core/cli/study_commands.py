"""The commands that look beyond one run: compare, tune, evaluate, embed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hnm_core.cli.asked import experiment_of
from hnm_core.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, echo, plain, progress_bar, progress_of, say, show_table
from hnm_core.cli.options import (
    ConfigArgument,
    DataOption,
    DeviceOption,
    MinerOption,
    PluginOption,
    PresetOption,
    RunArgument,
    SeedOption,
    SetOption,
    StepsOption,
)
from hnm_core.errors import InputError, unknown_name
from hnm_core.run.results import COMPARED, DOCUMENT_LEVEL, DOCUMENTS, JUDGED, LEVEL, MARGIN, Results
from hnm_core.spec.config import DISTANCES, ExperimentConfig, split_setting
from hnm_core.spec.data_files import ANY_DATA_SUFFIX
from hnm_core.spec.request import Request, over_documents
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.cli.headless import Outcome
    from hnm_core.data.judged import JudgedSet
    from hnm_core.studies.tuning import ConfigT, SearchedOption, Tried
    from hnm_core.training.retrieval_config import RetrievalConfig

OVER_DOCUMENTS = (DOCUMENT_LEVEL, DOCUMENTS)
"""What curves are of, and what lanes can be judged by, over queries and documents."""

K = 5
"""Neighbours that vote, unless another number is asked for."""

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where results go; the same folder again goes on there.")
]


def compare(
    config: ConfigArgument = None,
    preset: PresetOption = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=2, max=1000, help="How many seeds.")] = 5,
    data: DataOption = None,
    miner: MinerOption = None,
    settings: SetOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="LANE", help="The lane that others are compared with; the first.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help=f"Repeatable, judged by: {', '.join(COMPARED)}; on queries and documents: {', '.join(DOCUMENTS)}.",
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", metavar="M", help="Smaller differences count as none; stated in the table.")
    ] = MARGIN,
    again: Annotated[
        list[int] | None,
        typer.Option(
            "--again",
            metavar="SEED",
            help="Repeatable: as many seeds from this on as well; says which verdicts they keep, and judges all.",
        ),
    ] = None,
    json_document: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    out: OutOption = None,
    plugin: PluginOption = None,
) -> None:
    """Every lane over several seeds: means with 95 % intervals, paired differences with corrected verdicts, plots."""
    request = Request(config, preset, data, tuple(miner or ()), tuple(settings or ()), seed, device, steps)
    if over_documents(request):
        from hnm_core.training.retrieval_request import resolve_retrieval

        documents, notes = resolve_retrieval(request)
        for note in notes:
            say(note)
        title, lanes, level, compared = documents.title, [lane.name for lane in documents.lanes], *OVER_DOCUMENTS
    else:
        experiment = experiment_of(request)
        title, lanes = experiment.title or experiment.data.name, [lane.name for lane in experiment.lanes]
        level, compared = LEVEL, COMPARED
    if base is not None and base not in lanes:
        raise unknown_name("lane", base, lanes)
    beside = lanes[0] if base is None else base
    judged = tuple(dict.fromkeys(metric or (level,)))
    for name in judged:
        if name not in compared:
            raise InputError(f"--metric {name} is not allowed: {', '.join(compared)}.")
    if not 0 < margin < 1:
        raise InputError(f"--margin {margin:g} is not allowed: it is more than 0 and less than 1.")
    from hnm_core.cli import comparison
    from hnm_core.studies.comparing import run_seeds, series
    from hnm_core.studies.equal_time import is_timed
    from hnm_core.studies.folder import alone_in
    from hnm_core.studies.plots import plot_curves, plot_over_time, require_matplotlib
    from hnm_core.studies.verdicts import judge

    folder = out or Path(f"compare-{_slug(preset or (config.stem if config else title))}")
    tell = _once(say)
    if over_documents(request):
        train = _train_on_documents(documents, tell)
        first = documents.seed
        trials = run_seeds(documents, seeds, folder, train, say, level, again or ())
    else:
        first = experiment.seed
        trials = run_seeds(experiment, seeds, folder, lambda setting: _train(setting, tell), say, level, again or ())
    say("")
    lines = judge(trials, lanes, beside, judged, margin)
    rows = [
        comparison.Series(row, judge([trial for trial in trials if trial.seed in row], lanes, beside, judged, margin))
        for row in (series(first, seeds, again) if again else ())
    ]
    if json_document:
        told = comparison.document(trials, lanes, beside, lines, margin, level, rows)
        echo(json.dumps(told, indent=1, allow_nan=False))
    else:
        comparison.show(trials, lanes, beside, lines, margin, level, rows)
    try:
        require_matplotlib()
    except InputError as error:
        say(f"No plots: {error}")
    else:
        paths = [folder / f"{level}.png", folder / f"{level}.svg"]
        of = "queries" if level == DOCUMENT_LEVEL else "items"
        measured = f"{comparison.HEADS[level]} on held-out {of}"
        with alone_in(folder):
            plot_curves(trials, title, paths, measured)
            if is_timed(trials):
                over_time = [folder / f"{level}-over-time.png", folder / f"{level}-over-time.svg"]
                plot_over_time(trials, title, over_time, measured)
                paths += over_time
        for path in paths:
            (say if json_document else echo)(str(path))
    failed = {lane: [trial.seed for trial in trials if lane in trial.failed] for lane in lanes}
    for name, with_seeds in failed.items():
        if with_seeds:
            said = ", ".join(map(str, with_seeds))
            say(f"Lane '{name}' failed with seed {said}: left out of its means, and there is no verdict on it.")
    if any(failed.values()):
        raise typer.Exit(EXIT_FAILED)


def tune(
    config: ConfigArgument = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=LOW..HIGH",
            help="Repeatable; or KEY=A,B,C for one of several values; KEY,KEY=... sets several fields alike.",
        ),
    ] = None,
    preset: PresetOption = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, max=100_000, help="Settings to try.")] = 20,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, max=1000, help="A setting's score is its mean over so many.")
    ] = 1,
    lane: Annotated[str | None, typer.Option("--lane", metavar="NAME", help="The lane that is trained.")] = None,
    json_document: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output in place of the table.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help=f"{', '.join(JUDGED)}, the first unless given; on queries and documents: {', '.join(DOCUMENTS)}.",
        ),
    ] = None,
    data: DataOption = None,
    settings: SetOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
    plugin: PluginOption = None,
) -> None:
    """Choose options on a validation part of the training data; the held-out items are looked at once, at the end."""
    from hnm_core.studies import tuning

    if not option:
        raise InputError("Name what to search: --option KEY=LOW..HIGH, e.g. --option optimizer.lr=1e-4..1e-2.")
    request = Request(config, preset, data, (), tuple(settings or ()), seed, device, steps)
    documents = over_documents(request)
    allowed = DOCUMENTS if documents else JUDGED
    metric = allowed[0] if metric is None else metric
    if metric not in allowed:
        raise InputError(f"--metric {metric} is not allowed: {', '.join(allowed)}.")
    asked = _Search([tuning.parse_option(text) for text in option], lane, trials, seeds, metric, json_document)
    folder = out or Path(f"tune-{_slug(preset or (config.stem if config else Path(data or 'experiment').name))}")
    tell = _once(say)
    if documents:
        from hnm_core.training.retrieval_request import resolve_retrieval

        over, notes = resolve_retrieval(request)
        for note in notes:
            say(note)
        _tune(over, asked, folder, _train_on_documents(over, tell))
    else:
        _tune(experiment_of(request), asked, folder, lambda setting: _train(setting, tell))


@dataclass(frozen=True)
class _Search:
    """What `tune` is asked."""

    options: list[SearchedOption]
    lane: str | None
    trials: int
    seeds: int
    metric: str
    json_document: bool


def _tune(experiment: ConfigT, asked: _Search, folder: Path, train: Callable[[ConfigT], Results]) -> None:
    """Search, and print what was found."""
    from hnm_core.studies import tuning
    from hnm_core.studies.plots import plot_search, require_matplotlib

    searched, metric, json_document = asked.options, asked.metric, asked.json_document
    tuning.refuse_twice(experiment, searched)
    name = tuning.lane_of(experiment, searched, asked.lane)

    def score(setting: ConfigT) -> float:
        return float(getattr(train(setting).lanes()[0], metric))

    def finished(count: int, tried: tuning.Tried) -> None:
        values = ", ".join(f"{key} = {_shown(value)}" for key, value in tried.values.items())
        say(f"Setting {count}: {metric} {number(tried.score, 4)} with {values}")

    tried = tuning.search(experiment, searched, name, asked.trials, folder, score, finished, say, asked.seeds)
    if not tried:
        raise InputError("No setting could be trained to its end; look at the alarms above.")
    ranked: list[tuning.Tried] = sorted(tried, key=lambda setting: -setting.score)
    best = ranked[0]
    keys: list[str] = [option.key for option in searched]
    rows = [_ranked_row(place, setting, keys) for place, setting in enumerate(ranked, 1)]
    columns = ("rank", *keys, f"{metric}, validation")
    if not json_document:
        show_table(columns, rows)
    chosen = tuning.only_lane(tuning.with_values(experiment, best.values), name)
    final = getattr(train(chosen).lanes()[0], metric)
    before = getattr(train(tuning.only_lane(experiment, name)).lanes()[0], metric)
    words = f"held-out {metric}: {number(final, 4)} with the best setting, {number(before, 4)} as it was"
    best_settings = [
        f"{field}={value if isinstance(value, str) else json.dumps(value)}"  # all digits
        for key, value in best.values.items()
        for field in tuning.fields_of(key)
    ]
    if json_document:
        document = {
            "lane": name,
            "metric": metric,
            "of": words,
            "columns": columns,
            "rows": rows,
            "trials": [asdict(setting) for setting in ranked],
            "held_out": {"best": final, "before": before},
            "settings": best_settings,
        }
        echo(json.dumps(plain(document), indent=1, allow_nan=False))
    else:
        echo(words)
        for setting in best_settings:
            echo(f"--set {setting}")
    try:
        require_matplotlib()
    except InputError as error:
        say(f"No plots: {error}")
        return
    for key in keys:
        paths = [folder / f"{_slug(key)}.png", folder / f"{_slug(key)}.svg"]
        plot_search(key, [one.values[key] for one in tried], [one.score for one in tried], metric, paths)
        for path in paths:
            (say if json_document else echo)(str(path))


def _ranked_row(place: int, tried: Tried, keys: list[str]) -> tuple[str, ...]:
    return (str(place), *(_shown(tried.values[key]) for key in keys), number(tried.score, 4))


def evaluate(
    what: Annotated[
        str,
        typer.Argument(metavar="RUN|FILE", help=f"A recording, or an {ANY_DATA_SUFFIX} of embeddings x, labels y."),
    ],
    distance: Annotated[
        str | None,
        typer.Option("--distance", metavar="NAME", help="Of a file: euclidean unless given; lanes have their own."),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Of a file: onto the unit sphere first.")] = False,
    k: Annotated[int, typer.Option("--k", metavar="N", min=1, max=1000, help="Depth of mAP@k, and who votes.")] = K,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Score a recording's lanes on this data set, file or folder."),
    ] = None,
    json_document: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output in place of the table.")
    ] = False,
    codes: Annotated[
        bool, typer.Option("--codes", help="Score the signs of the embeddings as binary codes too.")
    ] = False,
    tsne: Annotated[
        Path | None, typer.Option("--tsne", metavar="OUT.png", help="Draw a t-SNE map, of one lane of a recording.")
    ] = None,
    lane: Annotated[str | None, typer.Option("--lane", metavar="NAME", help="The lane of the map.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Repeatable: how a file is read, e.g. label_separator='|'."),
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Retrieval, voting and clustering figures of embeddings, of a run over queries and documents how well these are
    ranked; with the level of chance beside them."""
    if distance is not None and distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    from hnm_core.distances import Distance
    from hnm_core.studies import evaluating

    file = evaluating.is_file(what)
    options = dict(map(split_setting, settings or ()))
    if options and not file:
        raise InputError("--set is not allowed: it says how a file is read, and this is a recording.")
    if tsne is not None:
        evaluating.check_map(tsne, None if file else what)
    if lane is not None and (tsne is None or file):
        say(f"--lane has no effect {'for a file' if file else 'without --tsne: every lane is scored'}.")
    for option, given in (("--distance", distance is not None), ("--normalize", normalize)):
        if given and not file:
            say(f"{option} has no effect for a recording: each lane is scored by its own distance.")
    if not file and evaluating.is_of_documents(what):
        for option, given in (("--k", k != K), ("--codes", codes)):
            if given:
                say(f"{option} has no effect for a run over queries and documents: rankings of them are scored.")
    if data is not None and file:
        say("--data has no effect for a file: its own items are scored.")
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        say(text)

    with progress_bar() as bars:
        tell = progress_of(bars)
        if file:
            measured_by = Distance(distance or "euclidean", normalize)
            table, words = evaluating.evaluate_file(Path(what), measured_by, k, codes, options, tell)
        else:
            table, words = evaluating.evaluate_run(what, k, codes, note, data, tell)
    say(words)
    columns, rows = evaluating.as_table(table, k)
    if json_document:
        document = {"of": words, "notes": notes, "columns": columns, "rows": rows, "figures": table}
        echo(json.dumps(plain(document), indent=1, allow_nan=False))
    else:
        show_table(columns, rows)
    if tsne is not None:
        evaluating.snapshot(what, lane, tsne, options)
        (say if json_document else echo)(str(tsne))


def embed(
    run: RunArgument,
    data: Annotated[
        str,
        typer.Argument(
            metavar="[DATA]", help=f"A data set, or your {ANY_DATA_SUFFIX}; the run's own where it is left out."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT",
            help="A .npz to write: x, y, ids; of a run over queries and documents a new folder, as `encode` writes.",
            show_default=False,
        ),
    ] = None,
    lane: Annotated[str | None, typer.Option("--lane", metavar="NAME", help="The first unless given.")] = None,
    plugin: PluginOption = None,
) -> None:
    """Data through the weights that a recorded lane ended with."""
    from hnm_core.studies.embedding import embed_data

    source, into = (None, Path(data)) if out is None else (data, out)
    with progress_bar() as bars:
        n_items, width = embed_data(run, lane, source, into, progress_of(bars), say)
    say(f"{n_items:,} items in {width} dimensions.")
    echo(str(into))


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, but each text the first time alone."""
    said: set[str] = set()

    def tell(text: str) -> None:
        if text and text not in said:
            said.add(text)
            say(text)

    return tell


def _train(config: ExperimentConfig, tell: Callable[[str], None]) -> Results:
    """Train without recording; `tell` is given what the data are. Ctrl+C ends everything: what is finished is kept."""
    from hnm_core.cli.headless import train

    def begin(words: str) -> None:
        tell(words)
        say(f"Seed {config.seed}")

    return _results(train(config, tell=begin))


def _train_on_documents(config: RetrievalConfig, tell: Callable[[str], None]) -> Callable[[RetrievalConfig], Results]:
    """`_train` for runs over queries and documents, whose set is read once for all seeds."""
    from hnm_core.cli.headless import train_on_documents
    from hnm_core.training.retrieval_experiment import read_data

    kept: dict[str, JudgedSet] = {}

    def train(setting: RetrievalConfig) -> Results:
        def begin(words: str) -> None:
            tell(words)
            say(f"Seed {setting.seed}")

        named = setting.retrieval.model_dump_json()
        if named not in kept:  # options may be searched that choose the data
            kept.clear()
            with progress_bar() as bars:
                kept[named] = read_data(setting.retrieval, config.seed, progress_of(bars))
        return _results(train_on_documents(setting, data=kept[named], tell=begin))

    return train


def _results(outcome: Outcome) -> Results:
    """Of a run of one seed, if it came to its end."""
    if outcome.status == EXIT_INTERRUPTED:
        say("The same command again goes on from here.")
        raise KeyboardInterrupt
    if not outcome.finished:
        raise typer.Exit(outcome.status)
    return outcome.results


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-") or "experiment"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
