"""`hnm-lab`: the engine's commands and those that need the app. Without a command it opens the window.

Qt, torch and the video encoder are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import re
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
from hnm_core.spec.request import Request, resolve
from hnm_core.spec.resources import FIRST_PRESET
from hnm_core.system import paths, whole_files

RASTER_KERNELS = "app.picture.raster"

OutArgument = Annotated[Path, typer.Argument(metavar="OUT.mp4", help="The video: .mp4, .webm or .gif.")]
TemplateOption = Annotated[str, typer.Option("--template", metavar="orbit|fixed", help="How the camera moves.")]
SecondsOption = Annotated[float, typer.Option("--seconds", metavar="S", help="Length of the video.")]
VideoSizeOption = Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height in pixels.")]
FpsOption = Annotated[int, typer.Option("--fps", metavar="N", help="Frames a second.")]
ThemeOption = Annotated[str, typer.Option("--theme", metavar="dark|light", help="Colours.")]


def gui(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CONFIG]", help="A TOML file, or the folder of a recording to play.", show_default=False
        ),
    ] = None,
    preset: options.PresetOption = None,
    data: options.DataOption = None,
    miner: options.MinerOption = None,
    settings: options.SetOption = None,
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
    recording = config if config is not None and paths.is_folder(config) else None
    if recording is not None:
        experiment = _recorded_config(recording, [preset, data, miner, settings, seed, device])
    else:
        experiment = resolve(Request(config, preset, data, tuple(miner or ()), tuple(settings or ()), seed, device))
        own_network = config is not None or any(setting.startswith("model") for setting in settings or ())
        experiment = _check_inputs(experiment, own_network=own_network)
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
    template: TemplateOption = "orbit",
    seconds: SecondsOption = 12.0,
    size: VideoSizeOption = "1920x1080",
    fps: FpsOption = 60,
    theme: ThemeOption = "dark",
) -> None:
    """A frame-exact video from a recording; needs no display."""
    pixels = parse_size(size, VIDEO_SIDES)
    from hnm_core.recording.runs import find_run

    _render(find_run(run), out, template, seconds, pixels, fps, theme)


def demo(
    out: OutArgument,
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help="A preset that ships.")] = FIRST_PRESET,
    steps: options.StepsOption = None,
    seed: options.SeedOption = None,
    template: TemplateOption = "orbit",
    seconds: SecondsOption = 12.0,
    size: VideoSizeOption = "1920x1080",
    fps: FpsOption = 60,
    theme: ThemeOption = "dark",
) -> None:
    """Run a preset and render it, in one go."""
    experiment = resolve(Request(preset=preset, steps=steps, seed=seed))
    pixels = parse_size(size, VIDEO_SIDES)
    # Whatever is wrong with it is said before the run and not after it.
    _check_video(out, pixels, fps, template, len(experiment.lanes))
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
    _render(folder, out, template, seconds, pixels, fps, theme)
    raise typer.Exit(outcome.status)


def _check_video(out: Path, size: tuple[int, int], fps: int, template: str, lanes: int) -> None:
    """Raises `InputError` for a video that cannot be made."""
    from app.video import templates
    from app.video.encoder import video_format

    templates.arrange(*video_format(out, size, fps).size, lanes)
    templates.template(template)


def _render(
    folder: Path, out: Path, template: str, seconds: float, size: tuple[int, int], fps: int, theme: str
) -> None:
    from app.video import renderer
    from hnm_core.cli.headless import wait_for_kernels
    from hnm_core.recording import open_recording

    # What is wrong with it, or with the video, is said before anything is compiled.
    recording = open_recording(folder)
    engine.say_losses(recording)
    _check_video(out, size, fps, template, len(recording.lanes))
    wait_for_kernels(RASTER_KERNELS)
    with progress_bar() as progress:
        bar = progress.add_task("frames", total=None, note="")

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        video = renderer.render(
            folder, out, template=template, seconds=seconds, size=size, fps=fps, theme=theme, progress=show
        )
    assert video is not None, "only a progress callback that says no calls it off"
    width, height = video.size
    say(f"Wrote {out}: {video.frames:,} pictures of {width} x {height}, {video.file_bytes / 1e6:,.1f} MB")


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
    app.command("demo")(demo)
    return app


def main() -> None:
    """Entry point of `hnm-lab`."""
    console.main(make_app(), "hnm-lab")
