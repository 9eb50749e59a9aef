"""What the tests of faults start."""

from __future__ import annotations

import pytest

from tests.forked import Forks


@pytest.fixture(scope="session")
def lab(forks: Forks) -> Forks:
    """Starts `hnm-lab ...`."""
    return forks
