"""`hnm-lab`: the engine's commands and those that need the app. Without a command it opens the window.

Qt, torch and the video encoder are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.bench import command as bench
from app.limits import VIDEO_SIDES, WINDOW_SIDES
from hnm_core.cli import commands as engine
from hnm_core.cli import console, options
from hnm_core.cli.console import EXIT_INTERRUPTED, Guarded, progress_bar, say
from hnm_core.cli.result_tables import show_results
from hnm_core.errors import InputError, shortened
from hnm_core.spec import compatibility
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request, names_network, over_documents, resolve
from hnm_core.spec.resources import FIRST_PRESET, FIRST_TEMPLATE
from hnm_core.system import ends, paths, whole_files
from hnm_core.training.retrieval_request import told_of

RASTER_KERNELS = "app.picture.raster"

OutArgument = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        help="OUT.mp4, .webm or .gif; FOLDER/%05d.png: all pictures; OUT.png: one; OUT.svg or .pdf: the charts.",
    ),
]
VideoArgument = Annotated[Path, typer.Argument(metavar="OUT.mp4", help="The video: .mp4, .webm or .gif.")]
TemplateOption = Annotated[
    str, typer.Option("--template", metavar="NAME|FILE", help="What is shown: see hnm-lab list templates; or a .toml.")
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", metavar="S", help="Length.", show_default="the template's")
]
VideoSizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Width and height in pixels.", show_default="the template's"),
]
FpsOption = Annotated[
    int | None, typer.Option("--fps", metavar="N", help="Pictures a second.", show_default="the template's")
]
ThemeOption = Annotated[str, typer.Option("--theme", metavar="dark|light", help="Colours.")]
FromOption = Annotated[int | None, typer.Option("--from", metavar="STEP", help="The first step that is shown.")]
ToOption = Annotated[int | None, typer.Option("--to", metavar="STEP", help="The last one.")]
AtOption = Annotated[int | None, typer.Option("--at", metavar="STEP", help="Of OUT.png: the step; else the last.")]


@dataclass(frozen=True)
class Film:
    """What a video shall be, as it was asked for."""

    template: str
    seconds: float | None
    size: tuple[int, int] | None
    fps: int | None
    theme: str
    steps: tuple[int | None, int | None] = (None, None)


def gui(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG]", help="A TOML file, or a recording to play.", show_default=False),
    ] = None,
    preset: options.PresetOption = None,
    data: options.DataOption = None,
    miner: options.MinerOption = None,
    settings: options.SetOption = None,
    steps: options.StepsOption = None,
    seed: options.SeedOption = None,
    device: options.DeviceOption = None,
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Size of the window.")] = None,
    autoplay: Annotated[bool, typer.Option("--autoplay", help="Start training and a slow orbit at once.")] = False,
    quit_after: Annotated[
        float | None, typer.Option("--quit-after", metavar="S", help="Close S seconds after the window is shown.")
    ] = None,
    stats: Annotated[
        Path | None, typer.Option("--stats", metavar="FILE", help="Write how smoothly it ran, as JSON.")
    ] = None,
    plugin: options.PluginOption = None,
) -> None:
    """Open the window, on the first preset unless told otherwise."""
    if config is not None and config.suffix == ".hnmlab":
        from hnm_core.recording import unpacked

        config = unpacked(config)
    recording = config if config is not None and paths.is_folder(config) else None
    if recording is not None:
        experiment = _recorded_config(recording, [preset, data, miner, settings, steps, seed, device])
    else:
        asked = Request(config, preset, data, tuple(miner or ()), tuple(settings or ()), seed, device, steps)
        experiment = told_of(asked)[0] if over_documents(asked) else resolve(asked)
        experiment = _check_inputs(experiment, own_network=names_network(asked))
    window = parse_size(size, WINDOW_SIDES) if size is not None else None
    if quit_after is not None and not 0 < quit_after < float("inf"):
        raise InputError(f"--quit-after {quit_after:g} is not allowed: give seconds above 0.")
    if stats is not None:
        check_writable(stats)
    from app.main import GuiRequest, check_lanes, run_gui

    check_lanes(experiment)
    plug_ins = tuple(plugin or ())
    raise typer.Exit(run_gui(GuiRequest(experiment, window, autoplay, quit_after, stats, recording, plug_ins)))


def _check_inputs(experiment: ExperimentConfig, *, own_network: bool) -> ExperimentConfig:
    """Refuse at once what would otherwise show in the window only when training starts: a file, a device.

    Of a file of the user's, words and network are those that the window gives it, unless the network was asked for.
    """
    if experiment.data.name == "file":
        from hnm_core.data import own

        read = own.read(experiment, experiment.data)
        compatibility.refuse(list(read.findings))
        experiment = experiment if own_network else read.config
    if experiment.device == "cuda":
        from hnm_core import devices  # loads torch, but only where a GPU is asked for

        devices.resolve("cuda")
    return experiment


def _recorded_config(folder: Path, others: list[object]) -> ExperimentConfig:
    """The configuration of a recording that is to be played. Raises `InputError` when it is to be changed as well."""
    if any(other is not None for other in others):
        raise InputError(f"'{folder}' is a recording: it is played as it is, without options that change the run.")
    from hnm_core.recording import open_recording

    return open_recording(folder).started.config


def render(
    run: options.RunArgument,
    out: OutArgument,
    template: TemplateOption = FIRST_TEMPLATE,
    seconds: SecondsOption = None,
    size: VideoSizeOption = None,
    fps: FpsOption = None,
    theme: ThemeOption = "dark",
    first: FromOption = None,
    last: ToOption = None,
    at: AtOption = None,
) -> None:
    """A frame-exact video from a recording, a still picture, or its charts; needs no display."""
    film = Film(template, seconds, _sides(size), fps, theme, (first, last))
    from hnm_core.recording.runs import find_run

    folder = find_run(run)
    if out.suffix.lower() in (".svg", ".pdf"):
        from app.video.plots import plots

        with _ends_awaited():
            plots(folder, out, theme=theme)
        say(f"Wrote {out}")
    elif out.suffix.lower() == ".png" and "%" not in out.name:
        _still(folder, out, film, at)
    elif at is not None:
        raise InputError(f"--at {at} is for one picture: give OUT.png, or --from and --to for a part of the run.")
    else:
        _render(folder, out, film)


@contextmanager
def _ends_awaited() -> Iterator[Callable[[], bool]]:
    """Ctrl+C and requests to end wait meanwhile, for Qt takes an exception in the midst of a call for a wrong argument;
    yields whether one came. It is obeyed at the end, a second one at once."""
    came: list[int] = []

    def note(number: int, _frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    with ends.handled(note):
        yield lambda: bool(came)
    if came:
        raise KeyboardInterrupt


def _still(folder: Path, out: Path, film: Film, at: int | None) -> None:
    from app.video.stills import still
    from hnm_core.cli.headless import wait_for_kernels

    wait_for_kernels(RASTER_KERNELS)
    with _ends_awaited() as ended:
        size = still(
            folder,
            out,
            template=film.template,
            at=at,
            size=film.size,
            theme=film.theme,
            progress=lambda _done, _total: not ended(),
        )
    assert size is not None, "it is called off by nothing else"
    say(f"Wrote {out}: {size[0]} x {size[1]}")


def report(
    run: options.RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page.")],
) -> None:
    """What a run came to as one page that can be sent: tables, curves, and clouds that can be turned."""
    from app.report.report import write_report
    from hnm_core.cli.headless import wait_for_kernels
    from hnm_core.recording import open_recording
    from hnm_core.recording.runs import find_run

    folder = find_run(run)
    engine.say_losses(open_recording(folder))
    wait_for_kernels(RASTER_KERNELS)
    write_report(folder, out)
    say(f"Wrote {out}: {out.stat().st_size / 1e6:,.1f} MB")


def demo(
    out: VideoArgument,
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help="A preset that ships.")] = FIRST_PRESET,
    steps: options.StepsOption = None,
    seed: options.SeedOption = None,
    template: TemplateOption = FIRST_TEMPLATE,
    seconds: SecondsOption = None,
    size: VideoSizeOption = None,
    fps: FpsOption = None,
    theme: ThemeOption = "dark",
) -> None:
    """Run a preset and render it, in one go."""
    experiment = resolve(Request(preset=preset, steps=steps, seed=seed))
    film = Film(template, seconds, _sides(size), fps, theme)
    # Whatever is wrong with it is said before the run and not after it.
    _check_video(out, film, len(experiment.lanes))
    from hnm_core.cli.headless import say_recorded, train
    from hnm_core.recording import make_room, new_run_dir, room

    if leaving := room.in_words(make_room()):
        say(leaving)
    folder = new_run_dir(preset)
    outcome = train(experiment, folder)
    try:
        show_results(outcome.results.lanes(), outcome.results.raw())
    finally:
        say_recorded(folder, outcome)
    if not outcome.finished or outcome.status == EXIT_INTERRUPTED:
        raise typer.Exit(outcome.status)
    _render(folder, out, film)
    raise typer.Exit(outcome.status)


def _sides(size: str | None) -> tuple[int, int] | None:
    return None if size is None else parse_size(size, VIDEO_SIDES)


def _check_video(out: Path, film: Film, lanes: int) -> None:
    """Raises `InputError` for a video that cannot be made."""
    from app.video import layout, renderer
    from app.video import template as templates
    from app.video.formats import video_format

    chosen = templates.load(film.template)
    renderer.check_seconds(film.seconds)
    video = video_format(out, film.size or chosen.sides, chosen.fps if film.fps is None else film.fps)
    layout.check_type(*video.size)
    shown = len(chosen.run.lanes) or (lanes if chosen.run.view == "lanes" else 1)
    layout.arrange(layout.frame_of(*video.size), shown, chosen.run.panels, key=chosen.run.key)


def _render(folder: Path, out: Path, film: Film) -> None:
    from app.video import renderer
    from hnm_core.cli.headless import wait_for_kernels
    from hnm_core.recording import open_recording

    # What is wrong with it, or with the video, is said before anything is compiled.
    recording = open_recording(folder)
    engine.say_losses(recording)
    _check_video(out, film, len(recording.lanes))
    wait_for_kernels(RASTER_KERNELS)
    with progress_bar() as progress, _ends_awaited() as ended:
        bar = progress.add_task("frames", total=None, note="")

        def show(done: int, total: int) -> bool:
            progress.update(bar, completed=done, total=total)
            return not ended()

        video = renderer.render(
            folder,
            out,
            template=film.template,
            seconds=film.seconds,
            size=film.size,
            fps=film.fps,
            theme=film.theme,
            steps=film.steps,
            progress=show,
        )
    assert video is not None, "it is called off by nothing else"
    width, height = video.size
    told = f"{video.frames:,} pictures of {width} x {height}, {video.seconds:.2f} s, {video.file_bytes / 1e6:,.1f} MB"
    say(f"Wrote {out}: {told}")
    if video.note:
        say(video.note)


def parse_size(text: str, limits: tuple[int, int]) -> tuple[int, int]:
    """`1920x1080` as (width, height), each within `limits`. Raises `InputError`."""
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text.strip().lower())
    low, high = limits
    if match is None or not all(low <= int(part) <= high for part in match.groups()):
        raise InputError(
            f"--size {shortened(text)} is not allowed: give WIDTHxHEIGHT in pixels, {low:,} to {high:,} each, for "
            "instance 1280x720."
        )
    return int(match[1]), int(match[2])


def check_writable(path: Path) -> None:
    """Refuse an output path whose folder is missing or closed, before the work and not after it."""
    if paths.is_folder(path):
        raise InputError(f"'{path}' is a folder; give the name of a file.")
    try:
        whole_files.check_writable(path)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror or error}.") from None


def doctor() -> None:
    """What works on this machine, and why the rest does not."""
    from app.doctor import examine

    engine.show_checks(examine())


def make_app() -> typer.Typer:
    """All commands."""
    app = typer.Typer(cls=Guarded, add_completion=False, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True)
    def start(context: typer.Context, version: engine.VersionOption = False) -> None:
        """Hard negative mining made visible. Without a command, the window opens."""
        if context.invoked_subcommand is None:
            context.invoke(gui)

    app.command("gui")(gui)
    engine.add_commands(app, doctor=doctor, bench=bench())
    app.command("render")(render)
    app.command("report")(report)
    app.command("demo")(demo)
    return app


def main() -> None:
    """Entry point of `hnm-lab`."""
    console.main(make_app(), "hnm-lab")
