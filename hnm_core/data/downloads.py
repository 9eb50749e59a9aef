"""Known sets that are fetched once: where a copy is looked for, and how it is brought where there is none."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hnm_core.data.base import Progress, report
from hnm_core.data.checks import reason
from hnm_core.data.fetch import FetchError, RemoteFile, fetch
from hnm_core.errors import InputError
from hnm_core.system import paths, user_folders
from hnm_core.system.regular_files import open_regular
from hnm_core.system.whole_files import whole_file

COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """One set: its files, and where they are."""

    title: str
    folder: str
    """Name of its folder among the user's data sets."""
    urls: tuple[str, ...]
    """Where the downloads are, with a slash at the end; tried in this order."""
    downloads: tuple[RemoteFile, ...]
    """The files that are read, or the one archive that holds them."""
    archive_folder: str = ""
    """The folder inside the archive; empty where the downloads are what is read."""
    members: tuple[str, ...] = ()
    """The files in that folder that are taken out."""
    elsewhere: tuple[Path, ...] = ()
    """Folders beside the user's own that may hold the files."""
    advice: str = ""
    """What else helps where there is no copy and no connection."""

    @property
    def user_folder(self) -> Path:
        """Where the files are looked for first, and downloaded to."""
        return user_folders.data_folder() / "datasets" / self.folder


def find_files(
    source: Source, names: Sequence[str], *, path: str, download: bool, progress: Progress | None
) -> list[Path]:
    """The files called `names`, each gzipped or plain.

    Args:
        source: the set they belong to.
        names: of the files that are read.
        path: if not empty, the only folder that is looked into; else the user's, then those `elsewhere`.
        download: fetch them where there is no copy.
        progress: counts bytes; what was fetched when it cancels is kept.

    Raises:
        InputError: no copy, and no way to get one; or a damaged archive.
        LoadCancelled: the progress callback returned False.
    """
    if path:
        folder = paths.path_of(path)
        if not paths.is_folder(folder):
            raise InputError(f"There is no folder '{folder}'; path is the folder with the files of {source.title}.")
        folders: tuple[Path, ...] = (folder,)
    else:
        folders = (source.user_folder, *source.elsewhere)
    for folder in folders:
        found = _files_in(folder, source, names)
        if None not in found:
            return [file for file in found if file is not None]
        archive = folder / source.downloads[0].name
        if source.archive_folder and paths.is_file(archive):
            _unpack(archive, source, progress)
            return _own_files(source, names)
    if path:
        missing = [name for name, file in zip(names, found, strict=True) if file is None]
        gz = " (with or without .gz)" if missing[0].endswith(".gz") else ""
        raise InputError(f"The folder '{folders[0]}' lacks {', '.join(missing)}{gz}.")
    if not download:
        raise InputError(f"There is no copy of {source.title} here, and download is off. {_by_hand(source)}")
    _download(source, progress)
    if source.archive_folder:
        archive = source.user_folder / source.downloads[0].name
        _unpack(archive, source, progress)
        archive.unlink()
    return _own_files(source, names)


def _own_files(source: Source, names: Sequence[str]) -> list[Path]:
    return [source.user_folder / source.archive_folder / name for name in names]


def _files_in(folder: Path, source: Source, names: Sequence[str]) -> list[Path | None]:
    """Path of each file in the folder or in the one that the archive makes there; None where there is none."""
    inner = folder / source.archive_folder
    return [
        next(
            (
                file
                for place in (folder, inner)
                for file in (place / name, place / name.removesuffix(".gz"))
                if paths.is_file(file)
            ),
            None,
        )
        for name in names
    ]


def _download(source: Source, progress: Progress | None) -> None:
    total = sum(file.size for file in source.downloads)
    before = 0
    for file in source.downloads:
        what = f"downloading {source.title}, {file.name}"

        def tell(done: int, before: int = before, what: str = what) -> None:
            report(progress, before + done, total, what)

        if not paths.is_file(source.user_folder / file.name):
            _fetch(source, file, tell)
        before += file.size


def _fetch(source: Source, file: RemoteFile, tell: Callable[[int], None]) -> None:
    failures = []
    for url in source.urls:
        try:
            fetch(url, file, source.user_folder, tell)
        except FetchError as error:
            failures.append(f"{url}: {error}")
        else:
            return
    raise InputError(
        f"{source.title} cannot be fetched from {'; nor from '.join(failures)}. What came so far is kept. "
        f"{_by_hand(source)}"
    )


def _by_hand(source: Source) -> str:
    names = ", ".join(file.name for file in source.downloads)
    return f"Put {names} into '{source.user_folder}'{source.advice}."


def _unpack(archive: Path, source: Source, progress: Progress | None) -> None:
    """Copy the files of the set, and nothing else, out of an archive into the user's folder."""
    target = source.user_folder / source.archive_folder
    missing = {f"{source.archive_folder}/{name}" for name in source.members}
    total = len(missing)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, inside in _members(archive, missing):
            report(progress, total - len(missing), total, f"unpacking {archive.name}")
            path = target / name.rpartition("/")[2]
            with inside, whole_file(path) as part, part.open("wb") as sink:
                shutil.copyfileobj(inside, sink, COPY_BYTES)
            missing.discard(name)
        report(progress, total, total, f"unpacking {archive.name}")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(f"'{archive}' is damaged: {reason(error)}. Remove it, and it is fetched again.") from None
    except OSError as error:
        raise InputError(f"'{archive}' cannot be unpacked into '{target}': {reason(error)}.") from None
    if missing:
        raise InputError(f"'{archive}' holds no file {min(missing)}; it is not the archive of {source.title}.")


def _members(archive: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The ordinary files of these names, in the order of the archive: going back in a .tar.gz costs a second pass."""
    if archive.suffix == ".zip":
        with open_regular(archive) as raw, zipfile.ZipFile(raw) as zipped:
            for name in zipped.namelist():
                if name in names:
                    yield name, zipped.open(name)
        return
    with open_regular(archive) as raw, tarfile.open(fileobj=raw) as tape:
        for member in tape:
            inside = tape.extractfile(member) if member.isfile() and member.name in names else None
            if inside is not None:
                yield member.name, inside
