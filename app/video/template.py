"""What a film is made of, scene after scene, as a TOML file says it: those that ship, or a file of the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from app.limits import VIDEO_SIDES
from hnm_core.errors import InputError
from hnm_core.spec.explaining import explain
from hnm_core.spec.fields import Section
from hnm_core.spec.resources import FIRST_TEMPLATE, template_path
from hnm_core.system.regular_files import read_regular

DEFAULT = FIRST_TEMPLATE
MOST_BYTES = 1 << 20
MOST_SCENES = 40

SceneKind = Literal["title", "close-up", "run", "finding", "end"]
View = Literal["lanes", "one", "wipe", "missed"]
PanelName = Literal["curve", "loss", "mining", "hardness", "recall", "race"]
Look = Literal["cloud", "hardest"]
MomentName = Literal["warm-up", "part", "fork", "overtake", "apart", "collapse", "end", "goal"]
WORDS = ("step", "lane", "lanes", "other", "value", "other_value", "seconds", "share", "last")
"""What may stand in braces in a caption."""


class Key(Section):
    """Where the camera is at one moment of a scene; between two it moves from one to the next."""

    at: float = Field(ge=0, le=1, description="share of the scene that has passed")
    turn: float = Field(0, ge=-3600, le=3600, description="degrees round the cloud from where the camera begins")
    rise: float = Field(0, ge=-60, le=60, description="degrees above or below where the camera begins")
    zoom: float = Field(1, ge=0.2, le=20, description="how many times nearer than the whole cloud needs")
    near: float = Field(0, ge=0, le=1, description="how far it has turned from the cloud to what the scene looks at")
    ease: Literal["linear", "in", "out", "in-out"] = Field("in-out", description="how it moves to this key")


class Scene(Section):
    """A part of a film."""

    kind: SceneKind
    seconds: float = Field(gt=0, le=3600, description="how long it takes in a film of the template's own length")
    view: View = Field("lanes", description="lanes side by side, one, a wipe between two, or what a search missed")
    lanes: tuple[str, ...] = Field((), max_length=16, description="names of the lanes that are shown; none for all")
    panels: tuple[PanelName, ...] = Field((), max_length=4, description="charts beside the clouds")
    key: bool = Field(True, description="whether the colours of edges and classes are explained")
    clock: Literal["steps", "time"] = Field("steps", description="what goes on evenly: steps, or training time")
    look: Look = Field("cloud", description="what the camera turns to")
    path: Literal["keys", "recorded"] = Field("keys", description="the keys below, or those taken in the window")
    camera: tuple[Key, ...] = Field((Key(at=0),), min_length=1, max_length=64)
    one_first: bool = Field(False, description="as long as all lanes are the same, one pane shows them")
    alike_pace: float = Field(0.7, gt=0, le=1, description="how long the steps take in which all lanes are the same")
    slow: float = Field(1, ge=1, le=20, description="how many times slower the run goes round a moment")
    moments: tuple[MomentName, ...] = Field(get_args(MomentName), description="which moments are told")
    captions: dict[MomentName, Annotated[str, Field(max_length=200)]] = Field(
        default_factory=dict, description="other words for moments, with numbers in braces"
    )
    about: bool = Field(True, description="whether quiet stretches say what to look for")

    @field_validator("captions")
    @classmethod
    def _known_words(cls, captions: dict[MomentName, str]) -> dict[MomentName, str]:
        for kind, text in captions.items():
            try:
                names = [name for _, name, spec, how in Formatter().parse(text) if name is not None or spec or how]
            except ValueError as error:
                raise ValueError(f"captions.{kind} = {text!r} is not allowed: {error}") from None
            for name in names:
                if name not in WORDS:
                    allowed = ", ".join(f"{{{word}}}" for word in WORDS)
                    raise ValueError(f"captions.{kind} names {{{name}}}; it may hold {allowed}")
        return captions

    @model_validator(mode="after")
    def _keys_in_order(self) -> Scene:
        times = [key.at for key in self.camera]
        if times != sorted(set(times)):
            raise ValueError(f"camera: its keys must come in the order of 'at', each once, not {times}")
        return self


class Template(Section):
    """A film."""

    title: str = Field(min_length=1, max_length=60)
    about: str = Field("", max_length=400, description="what it shows, in a sentence")
    size: str = Field("1920x1080", pattern=r"^\d{2,4}x\d{2,4}$", json_schema_extra={"allowed": "WIDTHxHEIGHT"})
    fps: int = Field(30, ge=1, le=240)
    loop: bool = Field(False, description="whether the end flows into the beginning")
    scenes: tuple[Scene, ...] = Field(min_length=1, max_length=MOST_SCENES)

    @field_validator("scenes")
    @classmethod
    def _one_run(cls, scenes: tuple[Scene, ...]) -> tuple[Scene, ...]:
        if sum(scene.kind == "run" for scene in scenes) != 1:
            raise ValueError("scenes: exactly one of them must be of the kind 'run'")
        return scenes

    @field_validator("size")
    @classmethod
    def _allowed_sides(cls, size: str) -> str:
        low, high = VIDEO_SIDES
        if not all(low <= int(side) <= high for side in size.split("x")):
            raise ValueError(f"size = {size!r} is not allowed: {low} to {high:,} pixels each way")
        return size

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.size.split("x")
        return int(width), int(height)

    @property
    def seconds(self) -> float:
        """Its own length."""
        return sum(scene.seconds for scene in self.scenes)

    @property
    def run(self) -> Scene:
        """The one scene in which the run goes on."""
        return next(scene for scene in self.scenes if scene.kind == "run")


def load(name_or_file: str | Path) -> Template:
    """A template that ships, by its name, or one in a file of the user's, which ends in .toml.

    Raises:
        InputError: there is none, it cannot be read, is no TOML, or holds a field or a value that is not allowed.
    """
    text = str(name_or_file)
    if not text.endswith(".toml"):
        return _read(template_path(text), f"template '{text}'")
    return _read(Path(text), f"'{text}'")


def _read(path: Path, where: str) -> Template:
    try:
        values = tomllib.loads(read_regular(path, MOST_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"There is no template file '{path}'.") from None
    except OSError as error:
        raise InputError(f"The template '{path}' cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not valid TOML: {error}.") from None
    return from_dict(values, where)


def from_dict(values: Mapping[str, Any], where: str = "template") -> Template:
    """A template from plain values. Raises `InputError`, which begins with `where` and names the field."""
    try:
        return Template.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, where, Template, values)) from None
