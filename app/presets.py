"""The presets as cards: a title, what to see, a picture for each look. Reads no configuration and draws nothing."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnm_core.spec.resources import (
    preset_names,
    preset_path,
    resource_dir,
    retrieval_preset_names,
    retrieval_preset_path,
)

PICTURE_SIZE = (480, 300)
"""Width and height of a picture in pixels; a card shows it at half of that, sharp on fine screens."""


@dataclass(frozen=True)
class Card:
    """One preset as the gallery shows it."""

    name: str
    title: str
    see: str
    """What to look for, in one line."""
    about: str
    """What to look for, in some sentences."""
    lanes: tuple[str, ...]
    """Whose clouds are on the picture; empty where nobody has chosen."""
    videos: tuple[str, ...] = ()
    """The templates by which videos of it are made, `docs/gallery/NAME-TEMPLATE.webm`."""

    def picture(self, theme: str) -> Path:
        """Where the picture for the `dark` or `light` look is; a preset without one has no such file."""
        return picture_path(self.name, theme)

    def matches(self, text: str) -> bool:
        """Whether every word of `text` occurs in what is said of the preset."""
        said = f"{self.name} {self.title} {self.see} {self.about}".lower()
        return all(word in said for word in text.lower().split())


def gallery_dir() -> Path:
    """The folder of the cards' texts, pictures and short recordings."""
    return resource_dir() / "gallery"


def picture_path(name: str, theme: str) -> Path:
    """The file of a preset's picture for the `dark` or `light` look."""
    return gallery_dir() / f"{name}-{theme}.webp"


def preview_path(name: str) -> Path:
    """The file of a preset's short recording, see `app.picture.preview`."""
    return gallery_dir() / f"{name}.preview.npz"


def cards() -> list[Card]:
    """All presets that ship: in the gallery's order, then those of which the gallery says nothing."""
    chosen = _read(gallery_dir() / "gallery.toml")
    order = list(chosen)
    files = {name: preset_path(name) for name in preset_names()}
    files |= {name: retrieval_preset_path(name) for name in retrieval_preset_names()}
    names = sorted(files, key=lambda name: order.index(name) if name in chosen else len(order))
    return [_card(name, _read(files[name]), chosen.get(name, {})) for name in names]


def _card(name: str, preset: dict[str, Any], chosen: dict[str, Any]) -> Card:
    about = " ".join(preset.get("about", "").split())
    return Card(
        name=name,
        title=preset.get("title", name),
        see=chosen.get("see", about.partition(". ")[0]),
        about=about,
        lanes=tuple(chosen.get("lanes", ())),
        videos=tuple(chosen.get("videos", ())),
    )


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
