"""How much memory a part of a program takes at its peak."""

from __future__ import annotations

from pathlib import Path

from hnm_core.system import memory


class Peak:
    """Growth of the process's resident memory to its peak inside the block, in MB.

    Attributes:
        megabytes: None where the system cannot tell (it is Linux that can).
    """

    megabytes: float | None = None

    def __enter__(self) -> Peak:
        memory.give_back()  # what was freed before must not hide what is needed now
        self._before = _status("VmRSS") if _reset_peak() else None
        return self

    def __exit__(self, *_exception: object) -> None:
        after = _status("VmHWM")
        if self._before is not None and after is not None:
            self.megabytes = max(0.0, after - self._before)


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5): resets the peak of the resident memory
    except OSError:
        return False
    return True


def _status(name: str) -> float | None:
    """A line of /proc/self/status in MB."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(found[0]) / 1024 if found else None
