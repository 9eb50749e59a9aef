"""Reads pictures of the user's with Pillow, upright and in plain colours; and finds them in folders by class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.errors import InputError
from hnm_core.system import paths
from hnm_core.system.regular_files import open_regular

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

NO_CLASSES = frozenset(
    {"@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "__pycache__", "lost+found"}
)
"""Folders that programs and devices leave beside pictures, in small letters; so are those that begin with a point."""

TRAINED = frozenset({"train", "training"})
MEASURED = frozenset({"val", "valid", "validation", "dev", "test", "testing", "eval"})
"""Folders above the classes that are parts of a set, in small letters."""

NAMED = 10
"""Broken pictures that are named one by one."""

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
    held_out: NDArray[np.bool_] | None
    """(N,) True where a file is of a part that is measured; None where the folder has no such parts"""
    as_read: str
    """what was found, in sentences; empty where folders simply are classes"""


def find_pictures(folder: Path) -> ImageFolder:
    """What is there to read: `folder/CLASS/...`, at any depth below the class, or `folder/train/CLASS/...` and so on.

    Links are followed. Hidden files, files whose ending is not in `SUFFIXES`, and what programs and devices leave
    beside pictures (`NO_CLASSES`) are left alone.

    Raises:
        InputError: no such folder, or no pictures.
    """
    if not paths.is_folder(folder):
        raise InputError(f"There is no folder '{folder}'; give a folder with one folder of pictures for each class.")
    try:
        parts = _parts(folder)
        found = [
            (paths.text_of(place.name), file, part)
            for part in parts or ("",)
            for place in _folders(folder / part)
            for file in _pictures_in(place)
        ]
    except OSError as error:
        raise InputError(f"The folder '{folder}' cannot be read: {paths.why(error)}.") from None
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(f"'{folder}' holds no folder with pictures ({kinds}); it must hold one for each class.")
    y, names = checks.named_classes([name for name, _, _ in found], f"'{folder}'")
    order = np.argsort(y, kind="stable")
    files = tuple(found[place][1] for place in order)
    if not parts:
        return ImageFolder(folder, files, y[order], names, None, "")
    measured = np.array([found[place][2].lower() in MEASURED for place in order])
    told = " and ".join(f"'{part}'" for part in parts if part.lower() in MEASURED)
    trained = " and ".join(f"'{part}'" for part in parts if part.lower() in TRAINED)
    words = f"Its parts are not classes: {trained} is trained on, {told} is held out."
    return ImageFolder(folder, files, y[order], names, measured, words)


def broken(files: Iterable[Path], read: Callable[[Path], object]) -> InputError:
    """What to say where `read` refuses some of the pictures: all of them, of many the first ones with their number."""
    found = []
    for file in files:
        try:
            read(file)
        except InputError as error:
            found.append(str(error))
    more = f" And {len(found) - NAMED:,} more pictures are like that." if len(found) > NAMED else ""
    return InputError(f"{' '.join(found[:NAMED])}{more}")


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
        with open_regular(path) as raw, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of large pictures before they are refused
            with image.open(raw) as file:
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
    """The middle `size` x `size` of the picture scaled so that its shorter side is `shorter_side` pixels.

    Only what is kept is scaled, so a long strip takes no more memory than a square.
    """
    width, height = plain.size
    scaled = [int(shorter_side * side / min(width, height)) for side in (width, height)]
    left, top = (round((side - size) / 2) for side in scaled)
    if tuple(scaled) == plain.size:
        return plain.crop((left, top, left + size, top + size))
    across, down = width / scaled[0], height / scaled[1]
    box = (left * across, top * down, min((left + size) * across, width), min((top + size) * down, height))
    return plain.resize((size, size), pillow().Resampling.BILINEAR, box=box)


def _parts(folder: Path) -> list[str]:
    """The folders train, val, test and so on, where there are no others and classes are below them; else none."""
    places = _folders(folder)
    names = [place.name.lower() for place in places]
    if not TRAINED & set(names) or len(names) < 2 or not set(names) <= TRAINED | MEASURED:
        return []
    if not all(any(_pictures_in(below) for below in _folders(place)) for place in places):
        return []
    return [place.name for place in places]


def _folders(folder: Path) -> list[Path]:
    """Folders that can be classes, by name."""
    return sorted(place for place in folder.iterdir() if _is_kept(place.name) and place.is_dir())


def _is_kept(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in NO_CLASSES


def _pictures_in(folder: Path) -> list[Path]:
    """Files at any depth, by name; a folder that is reached twice, as by a link to one above, is entered once."""
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        state = Path(place).stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = [name for name in folders if _is_kept(name)]
        found += [
            Path(place, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found)
