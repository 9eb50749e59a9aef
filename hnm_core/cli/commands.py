"""The commands that need no window. `python -m hnm_core` is this set alone; `hnm-lab` adds the app's.

Modules that take long to load are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import hnm_core
from hnm_core.cli import console
from hnm_core.cli.asked import experiment_of
from hnm_core.cli.audit_command import audit
from hnm_core.cli.bench_commands import command as bench_command
from hnm_core.cli.console import (
    Guarded,
    echo,
    progress_bar,
    progress_of,
    say,
    show_items,
)
from hnm_core.cli.listing import KINDS, no_runs, rows
from hnm_core.cli.mine_commands import mine
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
from hnm_core.cli.result_tables import show_audit, show_document_results, show_results
from hnm_core.cli.retrieval_commands import encode
from hnm_core.cli.review_command import review
from hnm_core.cli.study_commands import compare, embed, evaluate, tune
from hnm_core.errors import InputError, shortened
from hnm_core.spec.config import split_setting
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import Request, narrow_network, over_documents

if TYPE_CHECKING:
    from hnm_core.cli.doctor import Check
    from hnm_core.recording import Recording
    from hnm_core.spec.config import ExperimentConfig
    from hnm_core.training.experiment import Before


def run(
    config: ConfigArgument = None,
    preset: PresetOption = None,
    data: DataOption = None,
    miner: MinerOption = None,
    settings: SetOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    record: Annotated[Path | None, typer.Option("--record", metavar="DIR", help="Record into this new folder.")] = None,
    checkpoint_every: Annotated[
        float | None,
        typer.Option("--checkpoint-every", metavar="S", help="Seconds between checkpoints of a recorded run; 0: none."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on from the newest checkpoint of a recording, in a new one."),
    ] = None,
    reviewed: Annotated[
        Path | None, typer.Option("--review", metavar="FILE.jsonl", help="Obey what `hnm-lab review` wrote down.")
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One event a line on standard output.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Train without a window; a progress bar, then a table of results."""
    request = Request(
        config, preset, data, tuple(miner or ()), tuple(settings or ()), seed, device, steps, checkpoint_every, reviewed
    )
    if resume is None and over_documents(request):
        _run_on_documents(request, record, json_lines)
    before = None
    if resume is None:
        experiment = experiment_of(request)
    else:
        experiment, before, record = _resumed(resume, request, record)
    from hnm_core.cli.headless import say_recorded, train

    outcome = train(experiment, record, before=before, json_lines=json_lines)
    results = outcome.results
    try:
        if experiment.model.name == "identity":
            show_audit(results.lanes(), to_stderr=json_lines)
        else:
            started = results.history.started
            if started is not None and started.evaluated is not None:
                which = "MAP@R and P@1" if started.evaluated.shares else "MAP@R, P@1 and kNN"
                say(f"{which}: {started.evaluated.text}. {started.evaluated.missing}".strip())
            show_results(results.lanes(), results.raw(), to_stderr=json_lines)
    finally:  # also where the table cannot be shown
        if resume is None and (narrow := narrow_network(request, experiment)):
            say(narrow)
        if record is not None:
            say_recorded(record, outcome)
    raise typer.Exit(outcome.status)


def _run_on_documents(request: Request, record: Path | None, json_lines: bool) -> NoReturn:
    """`run` on queries and documents."""
    from hnm_core.cli.headless import say_recorded, train_on_documents
    from hnm_core.training.retrieval_request import resolve_retrieval

    config, notes = resolve_retrieval(request)
    for note in notes:
        say(note)
    outcome = train_on_documents(config, record, json_lines=json_lines)
    results, started = outcome.results, outcome.results.history.started
    try:
        chance = (started.chance if started is not None else None) or {}
        show_document_results(results.lanes(), chance, to_stderr=json_lines)
    finally:  # also where the table cannot be shown
        if record is not None:
            say_recorded(record, outcome)
    raise typer.Exit(outcome.status)


def _resumed(run: str, request: Request, record: Path | None) -> tuple[ExperimentConfig, Before, Path]:
    """What a recorded run goes on as, from where, and the new recording of it: beside the old one unless `record` names
    another.

    Raises:
        InputError: it cannot go on, or is asked to go on as another run.
    """
    steps, device, checkpoint_every = request.steps, request.device, request.checkpoint_every
    if request != Request(steps=steps, device=device, checkpoint_every=checkpoint_every):
        raise InputError("A run goes on as it was: with --resume, give no configuration, data, miner, setting or seed.")
    from hnm_core.recording.past import beside
    from hnm_core.recording.runs import find_run
    from hnm_core.training.resuming import resume

    folder = find_run(run)
    experiment, before = resume(folder, steps=steps, device=device, checkpoint_every=checkpoint_every)
    return experiment, before, record if record is not None else beside(folder, f"from-{before.step}")


def list_items(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of: {', '.join(KINDS)}.")],
    plugin: PluginOption = None,
) -> None:
    """What there is: one item a line, its name, one line of help, where it is defined."""
    found = list(rows(what))
    show_items(found)
    if not found and sys.stdout.isatty():  # of all lists this one alone can be empty
        say(no_runs())


def inspect(run: RunArgument) -> None:
    """What a recording holds, and what its run came to."""
    from hnm_core.recording.results import open_inspected
    from hnm_core.recording.runs import find_run

    recording, summary, results = open_inspected(find_run(run))
    show_items(recording_facts(summary))
    echo()
    if recording.config.model.name == "identity":
        show_audit(results)
    elif is_over_documents(recording.config.data.name):
        show_document_results(results, recording.started.chance or {})
    else:
        show_results(results, summary["raw"])


def recording_facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The summary of a recording as lines of a name and its value."""
    yield "folder", summary["folder"]
    yield "title", summary["title"]
    yield "started", summary["started"]
    yield "state", summary["state"]
    if summary["seconds"] is not None:
        yield "duration", f"{summary['seconds']:,.1f} s"
    yield "data", f"{summary['data']}: {summary['items_total']:,} items, {summary['items_shown']:,} of them recorded"
    if summary["evaluated"] is not None:
        yield "metrics on", summary["evaluated"]
    yield "model", summary["model"]
    yield "frames", ", ".join(f"{lane['lane']} {lane['frames']:,}" for lane in summary["lanes"])
    yield "changes", f"{len(summary['changes']):,}"
    for change in summary["changes"]:
        yield "change", f"step {change['step']:,}, {change['lane']}: {change['text']}"
    yield "alarms", f"{summary['alarms']:,}"
    if summary["checkpoint"] is not None:
        yield "checkpoint", f"step {summary['checkpoint']:,}; run --resume goes on from it"
    yield "size", f"{summary['bytes'] / 1e6:,.1f} MB"
    yield "torn bytes", f"{summary['torn_bytes']:,}"
    for loss in summary["losses"]:
        yield "lost", loss
    yield from summary["versions"].items()


def export(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", metavar="csv|parquet|npz", help="File format: csv, npz or parquet.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="PATH", help="Folder; RUN/export unless given.")] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also what was mined: a row for each tuple drawn.")] = False,
) -> None:
    """The numbers of a recording as files for other programs; prints their paths."""
    from hnm_core import recording
    from hnm_core.recording.runs import find_run

    folder = find_run(run)
    paths = recording.export(folder, to, out, pairs=pairs)
    say_losses(recording.open_recording(folder))
    for path in paths:
        echo(str(path))


def pack(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.hnmlab", help="The file to write.")],
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="With what training goes on from, as large as that is.")
    ] = False,
) -> None:
    """A recording as one checksummed file that can be sent to somebody."""
    from hnm_core import recording
    from hnm_core.recording.runs import find_run

    folder = find_run(run)
    say_losses(recording.open_recording(folder))
    with progress_bar() as bars:
        show = progress_of(bars)
        recording.pack(folder, out, checkpoints=checkpoints, progress=lambda done, total: show(done, total, "bytes"))
    echo(str(out))


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE.hnmlab", help="What `pack` wrote, here or elsewhere.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A new folder; FILE unless given.", show_default=False)
    ] = None,
) -> None:
    """A packed recording as a folder again, if all of it is right; safe to do with a stranger's."""
    from hnm_core import recording

    with progress_bar() as bars:
        show = progress_of(bars)
        made = recording.unpack(file, folder, progress=lambda done, total: show(done, total, "bytes"))
    echo(str(made))


def join(
    first: Annotated[str, typer.Argument(metavar="A", help="A recording: its folder, or its name in `list runs`.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one of the same data.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
) -> None:
    """Two recordings of the same data as one, whose lanes stand side by side, to be played, rendered or reported."""
    from hnm_core import recording
    from hnm_core.recording.runs import find_run

    one, other = find_run(first), find_run(second)
    for folder in (one, other):
        say_losses(recording.open_recording(folder))
    with progress_bar() as bars:
        show = progress_of(bars)
        found = recording.join(one, other, out, progress=lambda done, total: show(done, total, "events"))
    assert found is not None, "nobody calls it off"
    say(found.sentence)
    echo(str(out))


def say_losses(recording: Recording) -> None:
    """What of a recording is damaged or missing, a line each."""
    recording.check()
    for loss in recording.losses:
        say(f"Damaged: {loss}")


def features(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of pictures by class, a data set, or a data file.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.npz", help="The features, to be used with --data OUT.npz.")],
    backbone: Annotated[
        str, typer.Option("--backbone", metavar="NAME", help="A model, or module:callable that returns an nn.Module.")
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Its state dict; without one it is random.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", help="Side of the squares it sees: 224, or the data set's own."),
    ] = None,
    resize: Annotated[
        int | None, typer.Option("--resize", metavar="PX", help="Shorter side before the cut; 256/224 of the size.")
    ] = None,
    mean: Annotated[
        str, typer.Option("--mean", metavar="R,G,B", help="Taken off the colours in 0..1.")
    ] = "0.485,0.456,0.406",
    std: Annotated[str, typer.Option("--std", metavar="R,G,B", help="They are divided by.")] = "0.229,0.224,0.225",
    batch: Annotated[int, typer.Option("--batch", metavar="N", help="Items at once.")] = 64,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Repeatable: an option of the data set, e.g. points=70000."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of a data set, and of random weights.")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where it computes.")] = "auto",
    plugin: PluginOption = None,
) -> None:
    """Items through a network, once: a .npz of features. Ctrl+C keeps what is done; the same command goes on."""
    from hnm_core.studies.features import FeatureRequest, extract

    request = FeatureRequest(
        source, out, backbone, weights, tuple(map(split_setting, settings or ())), size, resize,
        _three("--mean", mean), _three("--std", std), batch, device, seed,
    )  # fmt: skip
    try:
        # what the network's own code prints is no output of this command
        with progress_bar() as bars, contextlib.redirect_stdout(sys.stderr):
            items, width = extract(request, progress_of(bars), say)
    except KeyboardInterrupt:
        say("What is done is kept; the same command goes on from there.")
        raise
    say(f"{items:,} items, {width:,} features each")
    echo(str(out))


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} {shortened(text)} is not allowed: give three numbers, for red, green and blue."
        ) from None
    return red, green, blue


def doctor() -> None:
    """What works on this machine, and why the rest does not."""
    from hnm_core.cli.doctor import examine

    show_checks(examine())


def show_checks(checks: Iterable[Check]) -> None:
    """Lines of `doctor`."""
    show_items((check.name, "yes" if check.works else "no", check.words) for check in checks)


def add_commands(
    app: typer.Typer, doctor: Callable[[], None] = doctor, bench: Callable[..., None] | None = None
) -> None:
    """Give `app` the commands of this module; the app has a doctor and a bench that look at more."""
    app.command("run")(run)
    app.command("compare")(compare)
    app.command("tune")(tune)
    app.command("embed")(embed)
    app.command("evaluate")(evaluate)
    app.command("review")(review)
    app.command("list")(list_items)
    app.command("inspect")(inspect)
    app.command("export")(export)
    app.command("join")(join)
    app.command("pack")(pack)
    app.command("unpack")(unpack)
    app.command("features")(features)
    app.command("encode")(encode)
    app.command("mine")(mine)
    app.command("audit")(audit)
    app.command("bench")(bench or bench_command())
    app.command("doctor")(doctor)


def show_version(wanted: bool) -> None:
    """Callback of `--version`: prints it and ends."""
    if wanted:
        echo(f"hnm-lab {hnm_core.__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
]


def make_app() -> typer.Typer:
    """The engine's commands alone."""
    app = typer.Typer(cls=Guarded, add_completion=False, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True)
    def start(context: typer.Context, version: VersionOption = False) -> None:
        """Hard negative mining made visible: the commands that need no window."""
        if context.invoked_subcommand is None:
            echo(context.get_help())

    add_commands(app)
    return app


def main() -> None:
    """Entry point of `python -m hnm_core`."""
    console.main(make_app(), "hnm_core")
