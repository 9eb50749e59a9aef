"""Numbers in few bytes. Of all numbers of a field the bytes of one place stand together, as these hardly differ, and of
what changes little from frame to frame the change: floating-point numbers bit by bit, whole ones by how much they grow.
What comes of it zlib packs by runs and frequent bytes alone: looking for repetitions takes twice the time and finds
none. Nothing is lost.

Packed are, one field after the other, the planes of its bytes, from the lowest one on. A change is `number ^ before` of
bits, and of whole numbers their difference, wrapped round at their size, `d`, as `2 * d`, or `-2 * d - 1` below 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

_MOST_PACKED = 1_040
"""zlib makes no more of a byte."""


class UnpackError(ValueError):
    """These bytes are nothing that was packed so."""


def pack(records: Numbers, before: Numbers | None = None, noisy: int = 0) -> bytes:
    """Records, or plain numbers, of any shape; `before` is as many of the same kind, and is needed to unpack them.
    `noisy`: so many of the lowest bytes of the first field's numbers hardly repeat, as a rule. Where they do not, they
    go into the stream as they are: zlib would spend a third of its time on finding that nothing can be gained."""
    planes = memoryview(_planes(records, before))
    stored = 0
    if noisy and len(set(planes[:_SAMPLE])) > _NOISY:
        first = records[records.dtype.names[0]] if records.dtype.names else records
        stored = noisy * first.size
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS, strategy=zlib.Z_RLE)
    deflated = packing.compress(planes[stored:]), packing.flush()
    return b"".join((_HEADER, *_stored(planes[:stored]), *deflated, zlib.adler32(planes).to_bytes(4, "big")))


_SAMPLE, _NOISY = 64, 50
"""Bytes at the beginning, and how many different ones among them are noise: of 64 drawn evenly 57 differ."""
_HEADER = b"\x78\x01"
"""Of zlib's format (RFC 1950), in which blocks and a checksum follow."""
_MOST_STORED = (1 << 16) - 1
"""Bytes of a block that holds them as they are (RFC 1951)."""


def _stored(data: memoryview) -> Iterator[bytes | memoryview]:
    for start in range(0, len(data), _MOST_STORED):
        block = data[start : start + _MOST_STORED]
        yield b"\0" + len(block).to_bytes(2, "little") + (len(block) ^ _MOST_STORED).to_bytes(2, "little")
        yield block


def _planes(records: Numbers, before: Numbers | None) -> bytes | bytearray:
    if before is None and all(field.shape == () for field, *_ in (records.dtype.fields or {}).values()):
        return _bytes_by_place(np.ascontiguousarray(records).reshape(-1))  # each field is one number: all at once
    planes = bytearray()
    for name in records.dtype.names or (None,):
        field, kind = _field(records, name)
        if before is not None:
            field = _change(field, _field(before, name)[0], kind)
        planes += _bytes_by_place(field)
    return planes


def _bytes_by_place(numbers: Numbers) -> bytes:
    """The first bytes of all, then the second ones, and so on."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()


def unpack(data: bytes | memoryview, dtype: np.dtype[Any], count: int, before: Numbers | None = None) -> Numbers:
    """(count,) records. Raises `UnpackError` where `data` is not what `pack` made of so many; takes no more room than
    these need, whatever it is."""
    size = count * dtype.itemsize
    if not 0 <= size <= len(data) * _MOST_PACKED:
        raise UnpackError(f"{len(data):,} bytes cannot hold {size:,}")
    unpacking = zlib.decompressobj()
    try:
        planes = np.frombuffer(unpacking.decompress(data, size + 1), np.uint8)
    except zlib.error as error:
        raise UnpackError(str(error)) from error
    if len(planes) != size or not unpacking.eof or unpacking.unused_data:
        raise UnpackError(f"it holds something else than {size:,} bytes")
    records = np.empty(count, dtype)
    at = 0
    for name in dtype.names or (None,):
        own = records if name is None else records[name]
        width = own.dtype.itemsize
        field = np.ascontiguousarray(planes[at : at + own.nbytes].reshape(width, own.size).T).view(f"<u{width}")[:, 0]
        if before is not None:
            earlier, kind = _field(before, name)
            field = _changed(field, earlier, kind)
        own[...] = field.view(own.dtype).reshape(own.shape)
        at += own.nbytes
    return records


def streams(data: bytes, most: int) -> int:
    """How many arrays were packed into these bytes, one after the other, counted up to `most`; the last may be cut."""
    found = 0
    while data and found < most:
        found += 1
        unpacking = zlib.decompressobj()
        try:
            for _ in _pieces(unpacking, data):
                pass
        except zlib.error:
            return found
        data = unpacking.unused_data
    return found


def _pieces(unpacking: Any, data: bytes) -> Iterator[bytes]:
    """What `data` unpacks to, a piece at a time: it may be any size."""
    while not unpacking.eof and data:
        yield unpacking.decompress(data, 1 << 20)
        data = unpacking.unconsumed_tail


def _field(records: Numbers, name: str | None) -> tuple[Numbers, str]:
    """The numbers of a field in a row, as whole ones of the same size, and the letter of their kind."""
    field = records if name is None else records[name]
    return np.ascontiguousarray(field).reshape(-1).view(f"<u{field.dtype.itemsize}"), field.dtype.kind


def _change(numbers: Numbers, before: Numbers, kind: str) -> Numbers:
    if kind == "f":
        return numbers ^ before
    signed = (numbers - before).view(f"<i{numbers.itemsize}")
    return ((signed << 1) ^ (signed >> (8 * numbers.itemsize - 1))).view(numbers.dtype)


def _changed(change: Numbers, before: Numbers, kind: str) -> Numbers:
    if kind == "f":
        return change ^ before
    grown: Numbers = before + ((change >> 1) ^ -(change & 1))
    return grown
