"""Finds the files that ship with the program: presets, icons, templates."""

from __future__ import annotations

from pathlib import Path

from hnm_core.errors import InputError, unknown_name

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir() -> Path:
    """`hnm_core/_resources` in an installed wheel, `resources/` beside the package in a checkout."""
    installed = _PACKAGE / "_resources"
    return installed if installed.is_dir() else _PACKAGE.parent / "resources"


def preset_names() -> list[str]:
    """Names of the presets that ship, the first preset first."""
    names = sorted(path.stem for path in (resource_dir() / "presets").glob("*.toml"))
    return sorted(names, key=lambda name: (name != FIRST_PRESET, name))


def preset_path(name: str) -> Path:
    """The TOML file of a preset. Raises `InputError` with the nearest names when there is none, and for one of queries
    and documents."""
    if name in retrieval_preset_names():
        raise InputError(f"The preset '{name}' is of queries and documents: `hnm-lab run --preset {name}` trains it.")
    if name not in preset_names():
        raise unknown_name("preset", name, [*preset_names(), *retrieval_preset_names()])
    return resource_dir() / "presets" / f"{name}.toml"


def retrieval_preset_names() -> list[str]:
    """Names of the presets over queries and documents that ship."""
    return sorted(path.stem for path in (resource_dir() / "presets" / "retrieval").glob("*.toml"))


def retrieval_preset_path(name: str) -> Path:
    """The TOML file of one of `retrieval_preset_names`."""
    return resource_dir() / "presets" / "retrieval" / f"{name}.toml"


def template_names() -> list[str]:
    """Names of the video templates that ship, the default first."""
    names = sorted(path.stem for path in (resource_dir() / "templates").glob("*.toml"))
    return sorted(names, key=lambda name: (name != FIRST_TEMPLATE, name))


def template_path(name: str) -> Path:
    """The TOML file of a video template. Raises `InputError` with the nearest names when there is none."""
    if name not in template_names():
        raise unknown_name("video template", name, template_names())
    return resource_dir() / "templates" / f"{name}.toml"


FIRST_PRESET = "near-classes"
FIRST_TEMPLATE = "orbit"
