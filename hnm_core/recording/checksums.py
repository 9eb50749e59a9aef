"""Checksums of everything in a recording, as another program can work them out with numpy, json and zlib.

`salt` of `run.json` is 16 hexadecimal digits that every recording draws anew, so that what a disk still holds of
another one is never taken for this one's. PATH is a file's path inside the recording, with `/`; PLACE counts its
records or lines from 0.

**Records** (`steps.bin`, `frames.idx`): their bytes without the last 8 as little-endian words of 32 bits, w_1 ... w_n;
then, modulo 2**64,

    checksum = salt + crc32(PATH) + k_0 * (PLACE + 1) + k_1 * w_1 + ... + k_n * w_n

where k_i is the output of splitmix64 at 0x9E3779B97F4A7C15 * (i + 1). It is one product of a matrix for a whole file.
No k_i is a multiple of 2**32, so any change within one word is told for certain, and so is a record at another place;
anything else, zeros too, passes with a chance of about 2**-64.

**Lines** (`events.jsonl`, `layers.jsonl`): an object whose last key is `checksum`, 8 hexadecimal digits: the crc32 of
the line up to and without `, "checksum": ...`, begun with that of the text `salt PATH PLACE`.

**run.json**: likewise, of its bytes up to and without the last `,` and line break before `"checksum"`, begun with 0.

**Arrays** and the bytes of a frame: plain crc32. `weights.npz` is a zip file, which has a crc32 of each member.
"""

from __future__ import annotations

import secrets
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording.layout import CHECKSUM

Keys = NDArray[np.uint64]

_MASK = (1 << 64) - 1
_WORD = np.dtype("<u4")
_AT_ONCE = 1 << 19
"""Bytes of words that are worked on at a time, which a processor's cache holds."""
_LINE_MARK = f', "{CHECKSUM}": "'.encode()
_FILE_MARK = f',\n "{CHECKSUM}": "'.encode()


def new_salt() -> str:
    """That of a new recording."""
    return secrets.token_hex(8)


@lru_cache(maxsize=8)
def keys(count: int) -> Keys:
    """k_0 ... k_(count - 1)."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    x.flags.writeable = False
    return x


def record_checksums(records: NDArray[Any], salt: str, path: str, first: int) -> NDArray[np.uint64]:
    """(n,) what the field `checksum` of n records must hold; `first` is the place of the first one. Their size must be
    a multiple of 4, the field the last one."""
    plain = np.ascontiguousarray(records).reshape(-1)
    words = plain.view("<u4").reshape(len(plain), -1)[:, :-2]
    known = keys(words.shape[1] + 1)
    checksums: NDArray[np.uint64] = np.arange(first + 1, first + 1 + len(plain), dtype=np.uint64) * known[0]
    checksums += np.uint64(_begin(salt, path))
    at_once = max(1, _AT_ONCE // (8 * words.shape[1]))
    room = np.empty((min(at_once, len(plain)), words.shape[1]), np.uint64)
    for start in range(0, len(plain), at_once):
        part = words[start : start + at_once]
        wide = room[: len(part)]
        np.copyto(wide, part)
        checksums[start : start + at_once] += np.einsum("ij,j->i", wide, known[1:])  # faster than a product of matrices
    return checksums


class Sealer:
    """Works out the checksums of a file's records one by one, as they are written."""

    def __init__(self, salt: str, path: str, size: int) -> None:
        """`size`: bytes of a record with its checksum."""
        known = keys(size // 4 - 1)
        self._begin = _begin(salt, path)
        self._place_key, self._keys = int(known[0]), known[1:]

    def sealed(self, data: bytes, place: int) -> bytes:
        """A record of which `data` is all but the checksum, with it."""
        total = int(self._keys.dot(np.frombuffer(data, _WORD)))
        return data + ((self._begin + self._place_key * (place + 1) + total) & _MASK).to_bytes(8, "little")


def _begin(salt: str, path: str) -> int:
    return (int(salt, 16) + zlib.crc32(path.encode())) & _MASK


def sealed_line(text: str, salt: str, path: str, place: int) -> bytes:
    """An object of JSON in one line, with its checksum and the line break."""
    body = text.removesuffix("}").encode()
    return body + _LINE_MARK + f'{_line(body, salt, path, place):08x}"}}\n'.encode()


def is_marked(line: bytes) -> bool:
    """Whether a line has a checksum, right or wrong."""
    return _LINE_MARK in line


def is_sealed(line: bytes, salt: str, path: str, place: int) -> bool:
    """Whether a line, without its line break, has the right checksum."""
    body, mark, tail = line.rpartition(_LINE_MARK)
    return bool(mark) and tail == f'{_line(body, salt, path, place):08x}"}}'.encode()


def _line(body: bytes, salt: str, path: str, place: int) -> int:
    return zlib.crc32(body, zlib.crc32(f"{salt} {path} {place}".encode()))


def sealed_file(text: str) -> bytes:
    """`run.json` with its checksum, from an object of JSON that is indented by one."""
    body = text.removesuffix("\n}").encode()
    return body + _FILE_MARK + f'{zlib.crc32(body):08x}"\n}}'.encode()


def is_sealed_file(data: bytes) -> bool:
    """Whether `run.json` has the right checksum."""
    body, mark, tail = data.rpartition(_FILE_MARK)
    return bool(mark) and tail == f'{zlib.crc32(body):08x}"\n}}'.encode()
