"""Reads pictures of the user's with Pillow, upright and in plain colours; and finds them in folders by class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.errors import InputError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Colour = Literal["rgb", "grey"]


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """The pictures below a folder, class by class, in the order of their names."""

    folder: Path
    files: tuple[Path, ...]
    y: NDArray[np.int64]
    """(N,) class of each file"""
    class_names: tuple[str, ...]
    """names of the folders"""


def find_pictures(folder: Path) -> ImageFolder:
    """What is there to read: `folder/CLASS/...`, at any depth below the class.

    Hidden files and files whose ending is not in `SUFFIXES` are left alone.

    Raises:
        InputError: no such folder, no pictures, fewer than two classes, or no class with two pictures.
    """
    try:
        folder = folder.expanduser()
        if not folder.is_dir():
            raise InputError(
                f"There is no folder '{folder}'; give a folder with one folder of pictures for each class."
            )
        found = {place.name: _pictures_in(place) for place in sorted(folder.iterdir()) if _is_class(place)}
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The folder '{folder}' cannot be read: {checks.reason(error)}.") from None
    found = {name: files for name, files in found.items() if files}
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(f"'{folder}' holds no folder with pictures ({kinds}); it must hold one for each class.")
    y, names = checks.named_classes([name for name, files in found.items() for _ in files], f"The folder '{folder}'")
    files = tuple(file for files in found.values() for file in files)
    order = np.argsort(y, kind="stable")
    return ImageFolder(folder, tuple(files[place] for place in order), y[order], names)


def read_picture(path: Path, size: int, colour: Colour, *, shorter_side: int | None = None) -> NDArray[np.uint8]:
    """One picture, turned upright, shrunk, and cut square around its centre.

    Transparency becomes white; of an animation the first picture is taken; 16-bit grey keeps its upper 8 bits.

    Args:
        path: the file.
        size: pixels of a side of the result.
        colour: three channels, or one.
        shorter_side: pixels that the shorter side has before the cut; None leaves nothing to cut off on it.

    Returns:
        (size, size, 3) or (size, size) bytes.

    Raises:
        InputError: Pillow is not installed, or the file is no picture or damaged.
    """
    image = pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow warns of odd metadata, and of large pictures before it refuses them
            with image.open(path) as file:
                plain = _plain(file, colour)
    except MemoryError:
        raise InputError(f"The picture '{path}' does not fit into the memory.") from None
    except image.UnidentifiedImageError:
        raise InputError(f"'{path}' is no picture, or it is damaged.") from None
    except Exception as error:  # noqa: BLE001 - a damaged file breaks a decoder in any way it likes
        raise InputError(f"The picture '{path}' cannot be read: {checks.reason(error)}.") from None
    return np.asarray(_cut_square(plain, size, max(size, shorter_side or size)))


def pillow() -> ModuleType:
    """The module PIL.Image. Raises `InputError` where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "Reading pictures needs Pillow, which is not installed: pip install 'hnm-lab[images]'"
        ) from None
    return Image


def _plain(file: Any, colour: Colour) -> Any:
    """A decoded picture in the mode RGB or L."""
    from PIL import ImageOps

    image = pillow()
    upright = ImageOps.exif_transpose(file)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = image.fromarray(_upper_bits(np.asarray(upright), upright.mode))
    if "A" in upright.getbands() or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        upright = image.alpha_composite(image.new("RGBA", upright.size, "white"), upright)
    return upright.convert("RGB" if colour == "rgb" else "L")


def _upper_bits(values: NDArray[Any], mode: str) -> NDArray[np.uint8]:
    if mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its numbers are neither 8 nor 16 bits")
    return (values.astype(np.uint16) >> 8).astype(np.uint8)


def _cut_square(plain: Any, size: int, shorter_side: int) -> Any:
    """Scale so that the shorter side is `shorter_side` pixels, then cut `size` x `size` out of the middle."""
    width, height = plain.size
    scaled = tuple(int(shorter_side * side / min(width, height)) for side in (width, height))
    if scaled != plain.size:
        plain = plain.resize(scaled, pillow().Resampling.BILINEAR)
    left, top = (round((side - size) / 2) for side in scaled)
    return plain.crop((left, top, left + size, top + size))


def _is_class(place: Path) -> bool:
    return place.is_dir() and not place.name.startswith(".")


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
