"""Fetches one file over HTTP: goes on where an earlier attempt stopped, and keeps only what has the right checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hnm_core.errors import InputError
from hnm_core.system.locks import try_lock
from hnm_core.system.paths import why
from hnm_core.system.syncing import sync_folder

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 20.0
CONNECTIONS = 5
"""At most so many for one file; a broken one is made again only if it brought something."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that is known before it is fetched."""

    name: str
    size: int
    """Bytes."""
    sha256: str


class FetchError(Exception):
    """The server cannot be reached or does not have the file; the message says why, without a full stop."""


def fetch(base_url: str, file: RemoteFile, folder: Path, report: Callable[[int], None]) -> Path:
    """Bring `base_url + file.name` into `folder`, by way of `NAME.part`.

    The part stays when the connection breaks or `report` raises, and the next call goes on from it.

    Args:
        base_url: http or https, with a slash at the end.
        file: name, size and checksum.
        folder: created if need be.
        report: called with the bytes that are there so far; what it raises ends the download.

    Returns:
        The path of the finished file.

    Raises:
        FetchError: no connection, or an answer that is not the file.
        InputError: what came has another checksum (it is removed), or the folder cannot be written to.
    """
    target = folder / file.name
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as sink:
            if sys.platform != "win32":  # a lock there would keep out the one who writes, too
                try_lock(sink.fileno())
            if sink.tell() > file.size:
                _empty(sink)
            _receive_all(base_url + file.name, sink, file.size, report)
            sink.flush()
            os.fsync(sink.fileno())  # a name that outlives a power cut must not stand for zeros
        if _sha256(part) != file.sha256:
            part.unlink()
            raise InputError(
                f"What {base_url}{file.name} sent is not the known file (its SHA-256 differs), so it was removed. "
                "Try again, or fetch the file elsewhere."
            )
        part.replace(target)
        sync_folder(folder)
    except BlockingIOError:
        raise InputError(f"Another program is fetching '{target}' just now; try again when it is done.") from None
    except OSError as error:
        raise InputError(f"'{part}' cannot be written: {why(error)}.") from None
    return target


def _receive_all(url: str, sink: BinaryIO, size: int, report: Callable[[int], None]) -> None:
    """Append to `sink` until it holds `size` bytes, with a new connection where one breaks."""
    for connection in range(1, CONNECTIONS + 1):
        before = sink.tell()
        report(before)
        if before == size:
            return
        try:
            _receive(url, sink, size, report)
        except ConnectionError as error:
            if sink.tell() <= before or connection == CONNECTIONS:
                raise FetchError(str(error)) from None


def _receive(url: str, sink: BinaryIO, size: int, report: Callable[[int], None]) -> None:
    """Append what one connection brings. Raises ConnectionError when it ends too early."""
    have = sink.tell()
    headers = {"User-Agent": "hnm-lab"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            raise FetchError(f"the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise ConnectionError(str(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(_words(error)) from None
    with response:
        if have and not _continues(response, have):
            _empty(sink)  # the server sends the whole file again
            have = 0
        while chunk := _read(response):
            have += len(chunk)
            if have > size:
                _empty(sink)
                raise FetchError(f"the server sends more than the {size:,} bytes of the known file")
            sink.write(chunk)
            report(have)
    if have < size:
        raise ConnectionError(f"the connection ended after {have:,} of {size:,} bytes")


def _empty(sink: BinaryIO) -> None:
    sink.seek(0)
    sink.truncate()


def _continues(response: http.client.HTTPResponse, start: int) -> bool:
    content_range = response.headers.get("Content-Range", "")
    return response.status == http.HTTPStatus.PARTIAL_CONTENT and content_range.startswith(f"bytes {start}-")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK_BYTES)  # what has arrived, so that a cancel is noticed on a slow line
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(_words(error)) from None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
