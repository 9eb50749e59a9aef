"""What memory is said to be free, by the system itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.system import memory

LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, resource.RLIM_INFINITY))
from hnm_core.system import memory
before = memory.free()
kept = bytearray(500_000_000)
print(before, before - memory.free())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says it")
def test_that_the_limit_of_a_process_is_known_with_what_it_has_taken():
    ended = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    before, taken = map(int, ended.stdout.split())
    assert 0 < before < 2_000_000_000
    assert taken == pytest.approx(500_000_000, rel=0.05)


def test_that_a_container_is_asked_and_what_it_keeps_of_files_is_free(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("600000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100000\nactive_file 7\n")
    assert memory.free() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free() != 500_000


def test_that_what_does_not_fit_is_refused_and_what_is_not_known_is_allowed(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1_200_000_000)
    memory.require(1_200_000_000, "x", "make it smaller")
    with pytest.raises(InputError) as caught:
        memory.require(3_300_000_000, "embedding = 65,536", "make it smaller")
    words = "The memory does not suffice for embedding = 65,536: about 3.3 GB are needed, and 1.2 GB are free"
    assert str(caught.value) == f"{words}; make it smaller."
    monkeypatch.setattr(memory, "free", lambda: None)
    memory.require(1e30, "x", "make it smaller")
