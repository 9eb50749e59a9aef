"""Numbers packed as planes of bytes: nothing is lost, and no byte is trusted."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from hnm_core.recording import planes

RECORD = np.dtype([("place", "<u2", (3,)), ("share", "<f4"), ("count", "<i8"), ("chosen", "|u1")])


def records(count: int, seed: int) -> np.ndarray:
    data = np.random.default_rng(seed).integers(0, 256, count * RECORD.itemsize, np.uint8)
    return data.view(RECORD)


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_that_any_bits_come_back(count: int) -> None:
    before, now = records(count, 1), records(count, 2)
    now["share"][: count // 2] = np.nan
    assert planes.unpack(planes.pack(now), RECORD, count).tobytes() == now.tobytes()
    assert planes.unpack(planes.pack(now, before), RECORD, count, before).tobytes() == now.tobytes()


@pytest.mark.parametrize("kind", ["|u1", "<u2", "<i4", "<i8", "<f4", "<f8"])
def test_that_plain_numbers_come_back_also_where_a_change_goes_round(kind: str) -> None:
    dtype = np.dtype(kind)
    ends = (
        [0, 1, np.finfo(dtype).min, np.inf] if dtype.kind == "f" else [0, 1, np.iinfo(dtype).min, np.iinfo(dtype).max]
    )
    before, now = (grid.reshape(-1) for grid in np.meshgrid(np.array(ends, dtype), np.array(ends, dtype)))
    packed = planes.pack(now, before)
    np.testing.assert_array_equal(planes.unpack(packed, dtype, len(now), before), now)


@pytest.mark.parametrize("count", [1, 63, 64, 1000, 50_000])
@pytest.mark.parametrize("noisy", [0, 1, 2])
def test_that_bytes_which_hardly_repeat_are_stored_as_they_are_in_what_any_zlib_reads(count: int, noisy: int) -> None:
    before, now = records(count, 1), records(count, 2)
    now["share"], now["count"], now["chosen"] = 1.0, np.arange(count), 7
    for earlier in (None, before):
        packed = planes.pack(now, earlier, noisy)
        assert planes.unpack(packed, RECORD, count, earlier).tobytes() == now.tobytes()
        assert len(zlib.decompress(packed)) == now.nbytes and planes.streams(packed + packed, 9) == 2
        first = zlib.decompress(packed)[: noisy * now["place"].size]
        stored = first[: (1 << 16) - 1] in packed  # the most that a block holds
        assert stored == (now["place"].size >= 64) or not noisy
    still = planes.pack(now, now, noisy)
    assert planes.unpack(still, RECORD, count, now).tobytes() == now.tobytes()
    assert len(still) < 100 + now.nbytes // 200, "what does repeat is packed, whatever was expected of it"


def test_that_small_changes_take_few_bytes() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 65_535, 10_000).astype("<u2")
    now = before + rng.integers(-20, 21, 10_000).astype("<u2")
    assert len(planes.pack(now, before)) < 0.8 * 10_000 < 0.45 * len(planes.pack(now))
    assert len(planes.pack(before, before)) < 200


def test_that_bytes_which_are_no_such_numbers_are_refused() -> None:
    now = records(500, 3)
    packed = planes.pack(now)
    for wrong, count in (
        (b"", 500),
        (packed[:-1], 500),
        (packed + b"\0", 500),
        (packed, 499),
        (packed, 501),
        (packed[:40] + bytes([packed[40] ^ 1]) + packed[41:], 500),
        (zlib.compress(bytes(1 << 24)), 500),
        (packed, 1 << 40),
    ):
        with pytest.raises(planes.UnpackError):
            planes.unpack(wrong, RECORD, count)


def test_that_arrays_are_counted_where_they_follow_one_another() -> None:
    one, two = planes.pack(records(300, 4)), planes.pack(records(200, 5))
    assert planes.streams(b"", 9) == 0
    assert planes.streams(one, 9) == planes.streams(one[:50], 9) == 1
    assert planes.streams(one + two, 9) == planes.streams(one + two[:9], 9) == 2
    assert planes.streams(one + two + one, 2) == 2
    assert planes.streams(one + bytes(50), 9) == 2, "what follows is there, whatever it is"
