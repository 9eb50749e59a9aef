"""A film, a picture or charts as somebody asks for them, before anything is drawn: for preview and file alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.progress import Progress
from app.video import plots, stills
from app.video import template as templates
from app.video.clock import Caption
from app.video.formats import VideoFormat, VideoInfo, check_place, fitted, video_format
from app.video.layout import check_type
from app.video.pictures import Pictures, Wishes
from app.video.renderer import check_seconds, render
from app.video.template import Template

Kind = Literal["film", "still", "charts"]

SMALLEST_PREVIEW = 64
"""Pixels of a side."""


@dataclass(frozen=True)
class Order:
    """None stands for what the template says."""

    folder: Path
    """Of the recording"""
    template: str = templates.DEFAULT
    """The name of one that ships, or a file that ends in .toml"""
    suffix: str = ".mp4"
    size: tuple[int, int] | None = None
    seconds: float | None = None
    fps: int | None = None
    theme: str = "dark"
    steps: tuple[int | None, int | None] = (None, None)
    captions: tuple[Caption, ...] | None = None
    """In place of the sentences that are found; times in seconds of the run's scene"""
    kind: Kind = "film"
    at: int | None = None
    """Of a still: the step that it shows; None stands for the last one"""

    def check(self, out: Path) -> None:
        """Raises `InputError` where it cannot be written there, or is not allowed."""
        if self.kind == "film":
            self.format(out)
            return
        if self.kind == "still":
            self.still_size()
        check_place(out)

    def still_size(self) -> tuple[int, int]:
        """Of a still, in pixels. Raises `InputError`."""
        return stills.still_size(self.size or self.loaded().sides)

    def moments(self, room: tuple[int, int] | None = None) -> stills.Moments:
        """Of a still: the pictures that it may be, of its own size or as large as there is room for.

        Raises:
            InputError: there is none.
        """
        size = self.still_size()
        small = size if room is None else within(size, room)
        return stills.moments(self.folder, self.loaded(), small, self.theme, fine=room is None)

    def loaded(self) -> Template:
        """The template. Raises `InputError`."""
        return templates.load(self.template)

    def format(self, out: Path | None = None) -> VideoFormat:
        """What the file will be; with `out` also whether it can be written there. Raises `InputError`."""
        chosen = self.loaded()
        check_seconds(self.seconds)
        size, fps = self.size or chosen.sides, chosen.fps if self.fps is None else self.fps
        seconds = chosen.seconds if self.seconds is None else self.seconds
        video = fitted(self.suffix, size, fps, seconds) if out is None else video_format(out, size, fps, seconds)
        check_type(*video.size)
        return video

    def pictures(self, room: tuple[int, int] | None = None) -> Pictures:
        """The pictures of the film, of its own size or as large as there is room for; never larger than its own.

        Raises:
            InputError: the film cannot be made.
        """
        video = self.format()
        if room is not None:
            video = VideoFormat(video.suffix, within(video.size, room), video.fps)
        return Pictures(self.folder, video, Wishes(self.loaded(), self.theme, self.seconds, self.steps, self.captions))

    def render(self, out: Path, progress: Progress) -> VideoInfo | None:
        """Make it; see `render`, `still` and `plots`. None where it was called off."""
        if self.kind == "still":
            size = stills.still(
                self.folder,
                out,
                template=self.template,
                at=self.at,
                size=self.size,
                theme=self.theme,
                progress=progress,
            )
            return None if size is None else VideoInfo(out, size, 0.0, 1, 0.0, out.stat().st_size)
        if self.kind == "charts":
            written = plots.plots(self.folder, out, theme=self.theme, progress=progress)
            return None if written is None else VideoInfo(out, plots.SIZE, 0.0, 1, 0.0, out.stat().st_size)
        return render(
            self.folder,
            out,
            template=self.template,
            seconds=self.seconds,
            size=self.size,
            fps=self.fps,
            theme=self.theme,
            steps=self.steps,
            captions=self.captions,
            progress=progress,
        )


def within(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """A picture's size made to fit into a room, in even pixels and of the same shape as far as those allow."""
    share = min(room[0] / size[0], room[1] / size[1], 1.0)
    width, height = (max(round(share * side / 2) * 2, SMALLEST_PREVIEW) for side in size)
    return width, height
