"""Large arrays of the program lie in large pages, where the system has them for who asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OFFER = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HELD = """
import app, pathlib, torch
kept = torch.ones(1 << 25)
lines = pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines()
print(next(line for line in lines if line.startswith("AnonHugePages")).split()[1])
"""


@pytest.mark.skipif(not OFFER.exists() or "[madvise]" not in OFFER.read_text(), reason="the system does not offer them")
def test_that_a_large_array_lies_in_large_pages() -> None:
    held = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert int(held.stdout) > 64_000  # of 131,072 kB; where memory is in pieces, some stay small
