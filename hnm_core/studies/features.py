"""Items through a network, once: a folder of pictures or a data set becomes a `.npz` of features.

What is done is kept in a folder `OUT.npz.part` beside the result, so that a run that was broken off goes on.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hnm_core import data, devices
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.pictures import ImageFolder, broken, find_pictures, read_picture
from hnm_core.errors import InputError, unknown_name
from hnm_core.models import backbone
from hnm_core.spec import own_code
from hnm_core.spec.data_files import data_format, refuse_no_items, vectors_in
from hnm_core.spec.registry import DATASETS
from hnm_core.spec.request import data_of
from hnm_core.system import paths
from hnm_core.system.locks import try_lock
from hnm_core.system.regular_files import open_regular, read_regular
from hnm_core.system.syncing import sync_folder
from hnm_core.system.whole_files import whole_file, write_whole

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of the red, green and blue values in 0..1 that the usual networks were trained on."""
IMAGENET_SIZE = 224
BEFORE_THE_CUT = 256 / 224
"""Usual shorter side of a picture, as a multiple of the square that is cut out of its middle."""
CHECKED = 8
"""Items that a run which goes on computes again, to see that the network still is what it was."""
LOCK = "lock"
"""A file in the folder of parts: who has it is at them."""
MAX_PLAN = 1 << 20
ROWS_AT_ONCE = 256
"""That are compared with their checksums."""
THUMBNAIL = 32
"""Pixels of a side of the small pictures that are kept beside the features."""


@dataclass(frozen=True)
class FeatureRequest:
    """What goes through which network, and how pictures are prepared."""

    source: str
    """Name of a data set, a folder of pictures by class, or a file of data."""
    out: Path
    backbone: str
    """Name of a model, or `module:callable` that returns an `nn.Module`."""
    weights: Path | None = None
    """State dict to load into it."""
    options: tuple[tuple[str, Any], ...] = ()
    """Of the data set."""
    size: int | None = None
    """Side of the squares the network sees; None is 224 for a folder and the data set's own size otherwise."""
    resize: int | None = None
    """Shorter side before the cut, for a folder; None is 256 / 224 of the size."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    batch: int = 64
    device: str = "auto"
    seed: int = 0
    """Of random weights, and of a data set that has a seed."""


def extract(
    request: FeatureRequest, progress: Progress | None = None, tell: Callable[[str], None] | None = None
) -> tuple[int, int]:
    """Write `request.out`: x (N, E), y, ids, class_names, and images and y_true where the source has them.

    The network is asked in evaluation mode, without gradient. A run that is broken off, by an error or by Ctrl+C,
    keeps what is done; the same request goes on there, another one begins anew.

    Args:
        request: what to do.
        progress: is called before and after every batch.
        tell: is given a sentence on what was taken for what in files of the user's, and where what an earlier run left
            is gone on with, or thrown away.

    Returns:
        N and E.

    Raises:
        InputError: a source, network, weights or value that cannot be used, or a result that exists already.
        LoadCancelled: the progress callback returned False.
    """
    _check(request)
    items = _items(request, progress)
    if items.told and tell is not None:
        tell(items.told)
    device = devices.resolve(request.device)
    network = backbone.create(request.backbone, items.shape, weights=request.weights, seed=request.seed)
    network = network.to(device).eval()
    parts = _Parts(request, f"{items.key} {backbone.digest(network)}", items.thumbnails)
    n_items, batch = len(items.y), request.batch
    what = f"features of {items.name}"
    with parts.held(), torch.inference_mode():
        done, sentence = parts.rows(batch, n_items), ""
        if done:
            first = min(batch, CHECKED)
            if parts.begin_with(_features(network, items.read(0, first)[0].to(device), 0)):
                sentence = f"Going on at item {done:,} of {n_items:,}."
            else:
                done = parts.begin_anew()
        if parts.thrown_away:
            sentence = (
                f"What lay in '{parts.folder}' is damaged, or of another request or network, and was thrown away."
            )
        if sentence and tell is not None:
            tell(sentence)
        for start in range(done, n_items, batch):
            report(progress, start, n_items, what)
            stop = min(start + batch, n_items)
            inputs, thumbnails = items.read(start, stop)
            parts.add(_features(network, inputs.to(device), start), thumbnails)
        report(progress, n_items, n_items, what)
        width = parts.finish(items)
    shutil.rmtree(parts.folder, ignore_errors=True)  # nobody's by now, as its result is there
    return n_items, width


class _Items(Protocol):
    """Where rows come from. `shape` is that of one item as the network sees it, `told` what was taken for what."""

    name: str
    key: str
    shape: tuple[int, ...]
    y: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]
    thumbnails: bool
    told: str

    def read(self, start: int, stop: int) -> tuple[Tensor, NDArray[np.uint8] | None]: ...


class _Folder:
    """Pictures of a folder, read when they are needed."""

    thumbnails = True

    def __init__(self, found: ImageFolder, request: FeatureRequest) -> None:
        self.name, self._found = found.folder.name, found
        self._size = request.size or IMAGENET_SIZE
        self._shorter = request.resize or round(self._size * BEFORE_THE_CUT)
        self._mean, self._std = request.mean, request.std
        self.shape: tuple[int, ...] = (3, self._size, self._size)
        self.y = found.y
        self.arrays: dict[str, NDArray[Any]] = {
            "y": found.y, "ids": np.arange(len(found.y)), "class_names": np.array(found.class_names),
            **({} if found.held_out is None else {"held_out": found.held_out}),
        }  # fmt: skip
        self.told = found.as_read
        state = [(str(path.relative_to(found.folder)), *_size_and_time(path)) for path in found.files]
        self.key = _sha256(json.dumps([str(found.folder.absolute()), self._size, self._shorter, state]).encode())

    def read(self, start: int, stop: int) -> tuple[Tensor, NDArray[np.uint8] | None]:
        try:
            squares = [self._square(path) for path in self._found.files[start:stop]]
        except InputError:
            raise broken(self._found.files[start:], self._square) from None
        small = [read_picture(path, THUMBNAIL, "rgb") for path in self._found.files[start:stop]]
        pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        return _normalized(pixels, self._mean, self._std), np.stack(small)

    def _square(self, path: Path) -> NDArray[np.uint8]:
        return read_picture(path, self._size, "rgb", shorter_side=self._shorter)


class _Rows:
    """A data set that is in memory; its rows are pictures where it says so."""

    thumbnails = False

    def __init__(self, dataset: Dataset, request: FeatureRequest) -> None:
        self.name, self._x, self._image = dataset.name, dataset.x, dataset.image_shape
        self.told = dataset.as_read
        self._mean, self._std = request.mean, request.std
        if self._image is None:
            if request.size is not None:
                raise InputError(f"--size is for pictures; the rows of '{dataset.name}' are none.")
            self.shape: tuple[int, ...] = (dataset.x.shape[1],)
        else:
            self.shape = (3, request.size, request.size) if request.size else (3, *self._image[1:])
        self.y = dataset.y
        extra = {"images": dataset.images, "y_true": dataset.y_true, "held_out": dataset.held_out}
        self.arrays: dict[str, NDArray[Any]] = {
            "y": dataset.y, "ids": dataset.ids, "class_names": np.array(dataset.class_names),
            **{name: array for name, array in extra.items() if array is not None},
        }  # fmt: skip
        self.key = _sha256(np.ascontiguousarray(dataset.x).tobytes()) + str(self.shape)

    def read(self, start: int, stop: int) -> tuple[Tensor, NDArray[np.uint8] | None]:
        rows = torch.from_numpy(np.array(self._x[start:stop]))
        if self._image is None:
            return rows, None
        pixels = rows.reshape(-1, *self._image).expand(-1, 3, -1, -1)
        if pixels.shape[1:] != self.shape:
            pixels = nn.functional.interpolate(pixels, self.shape[1:], mode="bilinear", antialias=True)
        return _normalized(pixels, self._mean, self._std), None


class _Parts:
    """The finished rows on disk: raw float32, and raw bytes of small pictures, both appended batch by batch, and a
    checksum of each row, for a power cut leaves files that are long enough and hold zeros."""

    def __init__(self, request: FeatureRequest, key: str, thumbnails: bool) -> None:
        self._out, self.folder = request.out, request.out.with_name(f"{request.out.name}.part")
        self.thrown_away = False
        self._plan = {"backbone": request.backbone, "mean": request.mean, "std": request.std, "key": key}
        self._plan_file, self._x = self.folder / "plan.json", self.folder / "x.bin"
        self._images = self.folder / "images.bin" if thumbnails else None
        self._checksums = self.folder / "checksums.bin"
        self._width = self._done = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is there, and nobody else's. Raises `InputError` where another program is at it."""
        try:
            self.folder.mkdir(exist_ok=True)
            file = (self.folder / LOCK).open("ab")
        except OSError as error:
            raise InputError(f"The folder '{self.folder}' cannot be made: {paths.why(error)}.") from None
        with file:
            try:
                try_lock(file.fileno())
            except OSError:
                raise InputError(f"Another program is making '{self._out}' just now.") from None
            yield

    def rows(self, batch: int, n_items: int) -> int:
        """Rows that are there from the same request, in whole batches. What belongs to another one is removed."""
        try:
            found = json.loads(read_regular(self._plan_file, MAX_PLAN))
            self._width = found.pop("width")
            if found == json.loads(json.dumps(self._plan)):
                sizes = [(path, kind.itemsize * width) for path, kind, width in self._columns()]
                there = self._right_rows(min(_length(path) // size for path, size in sizes))
                self._done = there if there == n_items else there // batch * batch
                for path, size in sizes:
                    os.truncate(path, self._done * size)
                if self._done:
                    return self._done
        except (OSError, ValueError, KeyError, AttributeError, TypeError, ZeroDivisionError, RecursionError):
            pass  # nothing there, or nothing that can be gone on with
        return self.begin_anew()

    def _columns(self) -> list[tuple[Path, np.dtype[Any], int]]:
        """Of each file what a row of it is: so many numbers of a kind. The last has the checksums."""
        images = [] if self._images is None else [(self._images, np.dtype(np.uint8), THUMBNAIL * THUMBNAIL * 3)]
        return [(self._x, np.dtype(np.float32), self._width), *images, (self._checksums, np.dtype("<u4"), 1)]

    def _right_rows(self, rows: int) -> int:
        """How many rows, of so many and from the first on, are as they were written. Raises `OSError`."""
        with ExitStack() as stack:
            files = [(stack.enter_context(open_regular(path)), kind, width) for path, kind, width in self._columns()]
            for start in range(0, rows, ROWS_AT_ONCE):
                count = min(ROWS_AT_ONCE, rows - start)
                *parts, told = [np.fromfile(file, kind, count * width) for file, kind, width in files]
                right = _checksums(start, [part.reshape(count, -1) for part in parts]) == told
                if not right.all():
                    return start + int(np.argmin(right))
        return rows

    def begin_with(self, features: NDArray[np.float32]) -> bool:
        """Whether the first rows are these, as far as rounding goes: the same code made them."""
        with open_regular(self._x) as file:
            there = np.fromfile(file, np.float32, count=features.size)
        wanted = features.reshape(-1)
        return there.shape == wanted.shape and bool(
            np.allclose(there, wanted, rtol=1e-2, atol=1e-3 * abs(wanted).max())
        )

    def begin_anew(self) -> int:
        """Remove what is there. Returns 0: the rows that are left."""
        self._width = self._done = 0
        try:
            self.thrown_away = self._x.exists()
            for entry in self.folder.iterdir():
                if entry.name != LOCK:
                    entry.unlink()
        except OSError as error:
            raise InputError(f"The folder '{self.folder}' cannot be emptied: {paths.why(error)}.") from None
        return 0

    def add(self, features: NDArray[np.float32], thumbnails: NDArray[np.uint8] | None) -> None:
        """Append one batch."""
        try:
            if not self._width:
                self._width = features.shape[1]
                write_whole(self._plan_file, json.dumps({**self._plan, "width": self._width}))
            if features.shape[1] != self._width:
                raise InputError(
                    f"The network gave {self._width:,} features an item before and {features.shape[1]:,} now; every "
                    "item needs the same number."
                )
            parts: list[NDArray[Any]] = [features] if thumbnails is None else [features, thumbnails]
            for (path, *_), part in zip(self._columns(), [*parts, _checksums(self._done, parts)], strict=True):
                with path.open("ab") as file:
                    file.write(part.tobytes())
            self._done += len(features)
        except OSError as error:
            raise InputError(f"'{self.folder}' cannot be written: {paths.why(error)}. What is done is kept.") from None

    def finish(self, items: _Items) -> int:
        """Put everything into the result. Returns E."""
        rows = len(items.y)
        arrays = {"x": _array_of(self._x, np.float32, (rows, self._width)), **items.arrays}
        if self._images is not None:
            arrays["images"] = _array_of(self._images, np.uint8, (rows, THUMBNAIL, THUMBNAIL, 3))
        result = self.folder / "result.npz"
        try:
            with whole_file(result) as part, part.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            result.replace(self._out)
            sync_folder(self._out.parent)
        except OSError as error:
            raise InputError(f"'{self._out}' cannot be written: {paths.why(error)}. What is done is kept.") from None
        return self._width


def _check(request: FeatureRequest) -> None:
    if request.out.suffix.lower() != ".npz":
        raise InputError(f"The result is a .npz file; '{request.out}' does not end so.")
    if paths.exists(request.out):
        raise InputError(f"'{request.out}' exists already; remove it, or give another name.")
    if not paths.is_folder(request.out.absolute().parent):
        raise InputError(f"There is no folder '{request.out.absolute().parent}' to put the result into.")
    for name, value in (("size", request.size), ("resize", request.resize), ("batch", request.batch)):
        if value is not None and not 1 <= value <= 65_536:
            raise InputError(f"{name} = {value} is not allowed: 1 .. 65,536.")
    if request.resize is not None and request.resize < (request.size or IMAGENET_SIZE):
        raise InputError(f"resize = {request.resize} is smaller than the square of {request.size or IMAGENET_SIZE}.")
    if not all(map(math.isfinite, (*request.mean, *request.std))) or min(request.std) <= 0:
        raise InputError(f"mean = {request.mean} and std = {request.std}: finite numbers, std above 0.")


def _items(request: FeatureRequest, progress: Progress | None) -> _Items:
    name, options = request.source, dict(request.options)
    if name not in DATASETS.names():
        path = paths.path_of(name)
        refuse_no_items(path, name)
        if paths.is_folder(path) and vectors_in(path) is None:
            if options:
                raise InputError("A folder of pictures has no options; --size and --resize say how they are read.")
            return _Folder(find_pictures(path), request)
        if data_format(path) is None and not paths.is_file(path):
            error = unknown_name("data set", name, DATASETS.names())
            raise InputError(f"There is no folder '{name}'. {error}")
        name, options = "file", {**data_of(path).options, **options}
    if request.resize is not None:
        raise InputError("--resize is for a folder of pictures.")
    part = DATASETS.part(name, options)
    return _Rows(data.build(part, seed=request.seed, progress=progress, minable=False), request)


def _features(network: nn.Module, inputs: Tensor, start: int) -> NDArray[np.float32]:
    """(B, E) of one batch; `start` is its first item, for messages."""
    try:
        output = network(inputs)
    except Exception as error:  # noqa: BLE001 - code of the user's breaks in any way it likes
        words = own_code.said(error)
        raise InputError(f"The network fails on a batch of the shape {tuple(inputs.shape)}: {words}.") from None
    if (
        not isinstance(output, Tensor)
        or output.ndim < 2
        or math.prod(output.shape[2:]) != 1
        or len(output) != len(inputs)
    ):
        found = f"the shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"The network returned {found}; it must return ({len(inputs)}, features), one row an item.")
    features: NDArray[np.float32] = output.flatten(1).float().cpu().numpy()
    bad_row = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad_row):
        raise InputError(f"The network gives NaN or infinity for item {start + int(bad_row[0])} (counted from 0).")
    return features


def _normalized(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def _length(path: Path) -> int:
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def _checksums(first: int, parts: Sequence[NDArray[Any]]) -> NDArray[np.uint32]:
    """(B,) the crc32 of each of B rows, begun with that of its place; `first` is that of the first row, and `parts`
    hold (B, ...) each."""
    found = np.empty(len(parts[0]), "<u4")
    for row in range(len(found)):
        value = zlib.crc32(b"%d" % (first + row))
        for part in parts:
            value = zlib.crc32(np.ascontiguousarray(part[row]).data, value)
        found[row] = value
    return found


def _array_of(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    with open_regular(path) as file:
        values = np.fromfile(file, kind)
    if values.size != math.prod(shape):
        raise InputError(f"'{path}' is not as it was written: another program has changed it meanwhile.")
    return values.reshape(shape)


def _size_and_time(path: Path) -> tuple[int, int]:
    """Of a file that is there, or of a link to one that is not."""
    state = path.stat() if paths.exists(path) else path.lstat()
    return state.st_size, state.st_mtime_ns


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
