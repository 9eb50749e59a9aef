"""No bit of the list at the end of an archive makes an array vanish that nobody then misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.errors import InputError
from hnm_core.recording import checkpoints
from hnm_core.recording.weights import read_weights, write_weights
from hnm_core.run.events import Checkpoint, Weights
from tests.families import one_in

ARRAYS = {f"{place}.weight": np.full((3, 4), place, np.float32) for place in range(12)}
WEIGHTS = Weights("knn", 7, ARRAYS, 4)


def a_network(folder: Path) -> tuple[Path, Callable[[], object]]:
    path = folder / "weights.npz"
    write_weights(path, WEIGHTS)

    def found() -> object:
        read = read_weights(path, "knn")
        assert read is not None
        return read.step, {name: array.tolist() for name, array in read.arrays.items()}

    return path, found


def a_checkpoint(folder: Path) -> tuple[Path, Callable[[], object]]:
    (folder / "checkpoints").mkdir()
    path = checkpoints.write(folder / "checkpoints", Checkpoint(7, (WEIGHTS,), {"rows": np.arange(5)}), 9)

    def found() -> object:
        read = checkpoints.read(folder)
        assert read is not None and isinstance(read.checkpoint.state, dict)
        (weights,) = read.checkpoint.weights
        return {name: array.tolist() for name, array in weights.arrays.items()}, read.checkpoint.state["rows"].tolist()

    return path, found


def a_data_set(folder: Path) -> tuple[Path, Callable[[], object]]:
    path = folder / "set.npz"
    ids, truth = np.arange(10, 16), np.array([0, 1, 0, 1, 1, 0])
    np.savez(path, x=np.eye(6), y=np.array([0, 1] * 3), ids=ids, y_true=truth, class_names=np.array(["a", "b"]))

    def found() -> object:
        read = data.create("file", path=str(path))
        return (
            read.x.tolist(),
            read.ids.tolist(),
            read.class_names,
            None if read.y_true is None else read.y_true.tolist(),
        )

    return path, found


def names(content: bytes) -> Iterator[int]:
    """The bytes of the list that are the name of each member, or say how long it is, what is extra, and its comment."""
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        yield from range(at + 28, at + 34)
        yield from range(at + 46, at + 46 + int.from_bytes(content[at + 28 : at + 30], "little"))
        at = content.find(b"PK\x01\x02", at + 1)


@pytest.mark.parametrize("archive", one_in(3, [a_network, a_checkpoint, a_data_set]))
def test_that_no_bit_makes_an_array_vanish(
    tmp_path: Path, archive: Callable[[Path], tuple[Path, Callable[[], object]]]
) -> None:
    path, found = archive(tmp_path)
    whole, known, refused = path.read_bytes(), found(), 0
    for bit in (8 * at + place for at in names(whole) for place in range(8)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert found() == known, bit
        except InputError:
            refused += 1
    assert refused > 100
