"""From a recording to a video: walks the run at exactly one picture every 1 / fps seconds, at any machine's speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.video import template as templates
from app.video.clock import Caption
from app.video.encoder import Encoder, VideoCancelledError
from app.video.formats import VideoInfo, video_format
from app.video.layout import check_type
from app.video.pictures import Pictures, Wishes
from hnm_core.errors import InputError, shortened

MIN_SECONDS, MAX_SECONDS = 0.1, 3600.0

Progress = Callable[[int, int], object]
"""Called as progress(done, total) after every picture, and again and again while the end is written; returning False
calls the video off."""


def render(
    folder: str | Path,
    out: str | Path,
    *,
    template: str | Path = templates.DEFAULT,
    seconds: float | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    theme: str = "dark",
    steps: tuple[int | None, int | None] = (None, None),
    captions: Sequence[Caption] | None = None,
    progress: Progress | None = None,
) -> VideoInfo | None:
    """Render the recording in `folder` to the video `out` (.mp4, .webm or .gif, or FOLDER/%05d.png for pictures).

    What is shown, how long, how large and how often a second, is the template's choice unless it is given. `steps` are
    the first and the last that are shown; `captions` stand in place of the sentences that are found (those are
    `Pictures(...).plan.captions`). The same recording gives the same pictures every time. No display is needed;
    `out` appears when it is complete.

    Returns:
        What was written; None when `progress` called it off, and then no file is left.

    Raises:
        InputError: before the first picture: the recording is damaged or has no frame, `out` cannot be written, or a
            value is not allowed.
    """
    chosen = templates.load(template)
    check_seconds(seconds)
    length = chosen.seconds if seconds is None else seconds
    video = video_format(out, size or chosen.sides, chosen.fps if fps is None else fps, length)
    check_type(*video.size)
    pictures = Pictures(
        folder, video, Wishes(chosen, theme, seconds, steps, None if captions is None else tuple(captions))
    )
    total = len(pictures)

    def wanted(done: int = total) -> bool:
        return progress is None or progress(done, total) is not False

    encoder = Encoder(out, video, wanted)
    try:
        with encoder:
            for done, pixels in enumerate(pictures, 1):
                encoder.write(pixels)
                if not wanted(done):
                    raise VideoCancelledError
    except VideoCancelledError:
        return None
    info, lacking = encoder.info, pictures.lacking
    if info is None or not lacking:
        return info
    told = f"No font here holds {shortened(lacking)}: a box stands for each."
    return replace(info, note=f"{info.note} {told}".strip())


def check_seconds(seconds: float | None) -> None:
    """Raises `InputError` for a length that is not allowed."""
    if seconds is not None and not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError(f"seconds = {seconds:g} is not allowed: it must lie in {MIN_SECONDS}..{MAX_SECONDS:g}.")
