"""How much memory a process takes. No Qt."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mb() -> float | None:
    """Largest resident size of this process so far, MiB; None where the system does not say."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def resident_mb() -> float | None:
    """Resident size of this process now, MiB; the peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return peak_mb()
    return round(pages * 4096 / (1 << 20), 1)
