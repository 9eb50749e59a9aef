"""Downloads from a real server: resumed, checked, cancelled, refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hnm_core.data.fetch import FetchError, RemoteFile, fetch
from hnm_core.errors import InputError
from hnm_core.system.locks import try_lock

CONTENT = np.random.default_rng(0).bytes(300_000)
FILE = RemoteFile("set.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class StopError(Exception):
    """What a test's report raises to end a download."""


def silent(done: int) -> None:
    """Nobody watches."""


def test_that_a_file_arrives_whole_with_its_progress(server, tmp_path):
    server.files["set.gz"] = CONTENT
    seen = []
    path = fetch(server.url, FILE, tmp_path / "new" / "folder", seen.append)
    assert path == tmp_path / "new" / "folder" / "set.gz" and path.read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == len(CONTENT) and len(seen) > 3
    assert [file.name for file in path.parent.iterdir()] == ["set.gz"]
    assert server.requests == [("set.gz", None)]


def test_that_a_download_goes_on_where_it_was_cut_off(server, tmp_path):
    server.files["set.gz"] = CONTENT
    server.cuts = [100_000, 50_000]
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT
    assert server.requests == [("set.gz", None), ("set.gz", "bytes=100000-"), ("set.gz", "bytes=150000-")]


def test_that_a_cancelled_download_goes_on_next_time(server, tmp_path):
    server.files["set.gz"] = CONTENT

    def stop_half_way(done: int) -> None:
        if done >= 150_000:
            raise StopError

    with pytest.raises(StopError):
        fetch(server.url, FILE, tmp_path, stop_half_way)
    part = (tmp_path / "set.gz.part").read_bytes()
    assert 150_000 <= len(part) < len(CONTENT) and CONTENT.startswith(part)
    assert not (tmp_path / "set.gz").exists()
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT
    assert server.requests[1:] == [("set.gz", f"bytes={len(part)}-")]
    assert not (tmp_path / "set.gz.part").exists()


def test_that_two_programs_do_not_fetch_into_one_file(server, tmp_path):
    server.files["set.gz"] = CONTENT
    with (tmp_path / "set.gz.part").open("ab") as other:
        try_lock(other.fileno())
        with pytest.raises(InputError, match=r"Another program is fetching '.*set\.gz' just now"):
            fetch(server.url, FILE, tmp_path, silent)
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT


def test_that_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.files["set.gz"] = CONTENT
    server.ranges = False
    (tmp_path / "set.gz.part").write_bytes(CONTENT[:1000])
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT
    assert server.requests == [("set.gz", "bytes=1000-")]


def test_that_a_server_without_ranges_that_breaks_off_starts_over(server, tmp_path):
    server.files["set.gz"] = CONTENT
    server.ranges = False
    server.cuts = [200_000]
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT
    assert server.requests == [("set.gz", None), ("set.gz", "bytes=200000-")]


def test_that_a_complete_part_needs_no_server(tmp_path):
    (tmp_path / "set.gz.part").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/", FILE, tmp_path, silent).read_bytes() == CONTENT


def test_that_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    server.files["set.gz"] = CONTENT
    (tmp_path / "set.gz.part").write_bytes(b"x" * (len(CONTENT) + 1))
    assert fetch(server.url, FILE, tmp_path, silent).read_bytes() == CONTENT
    assert server.requests == [("set.gz", None)]


@pytest.mark.parametrize("have", (0, 1000))
def test_that_another_checksum_removes_what_came(server, tmp_path, have):
    server.files["set.gz"] = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    (tmp_path / "set.gz.part").write_bytes(CONTENT[:have])
    with pytest.raises(InputError, match=r"set\.gz sent is not the known file \(its SHA-256 differs\)"):
        fetch(server.url, FILE, tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_that_a_server_with_a_longer_or_shorter_file_is_refused(server, tmp_path):
    server.files["set.gz"] = CONTENT + b"x"
    with pytest.raises(FetchError, match="more than the 300,000 bytes"):
        fetch(server.url, FILE, tmp_path, silent)
    assert (tmp_path / "set.gz.part").stat().st_size == 0
    server.files["set.gz"] = CONTENT[:1000]
    with pytest.raises(FetchError, match="416"):
        fetch(server.url, FILE, tmp_path, silent)


def test_that_a_server_that_always_breaks_off_is_given_up(server, tmp_path):
    server.files["set.gz"] = CONTENT
    server.cuts = [1000] * 100
    with pytest.raises(FetchError, match="ended after 5,000 of 300,000 bytes"):
        fetch(server.url, FILE, tmp_path, silent)
    assert (tmp_path / "set.gz.part").read_bytes() == CONTENT[:5000]
    server.cuts = [0] * 100
    server.requests.clear()
    with pytest.raises(FetchError, match="ended after 5,000"):
        fetch(server.url, FILE, tmp_path, silent)
    assert len(server.requests) == 1


def test_that_a_missing_file_and_a_missing_server_are_told_apart(server, tmp_path):
    with pytest.raises(FetchError, match="404"):
        fetch(server.url, FILE, tmp_path, silent)
    with pytest.raises(FetchError, match="refused"):
        fetch("http://127.0.0.1:9/", FILE, tmp_path, silent)


def test_that_a_folder_that_cannot_be_written_to_is_named(server, tmp_path):
    server.files["set.gz"] = CONTENT
    (tmp_path / "occupied").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="occupied"):
        fetch(server.url, FILE, tmp_path / "occupied", silent)
