from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hnm_core.system.peak import Peak


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of the memory")
def test_that_the_peak_is_what_was_held_inside_the_block() -> None:
    with Peak() as peak:
        held = np.ones(8 << 20)
        del held
    with Peak() as nothing:
        pass
    assert peak.megabytes is not None
    assert nothing.megabytes is not None
    assert 60 < peak.megabytes < 80
    assert nothing.megabytes < 8
