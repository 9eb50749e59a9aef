"""One parent for all processes that are forked in these tests: it takes some seconds to load everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.forked import Forks, forks


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts `hnm-lab ...`."""
    with forks(tmp_path_factory.mktemp("forked")) as started:
        yield started
