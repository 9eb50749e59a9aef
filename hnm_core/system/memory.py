"""How much memory there is to be had, and the refusal of what needs more: asked before it is taken, because a system
that has run out ends the program instead of telling it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

from hnm_core.errors import InputError

_GROUPS = Path("/sys/fs/cgroup")


def free() -> int | None:
    """Bytes that this process can still take: of the machine, of its container, of its own limit; None where the
    system does not say."""
    found = [bytes_ for bytes_ in (_of_machine(), _of_group(), _of_process()) if bytes_ is not None]
    return max(min(found), 0) if found else None


def require(needed: float, what: str, instead: str) -> None:
    """Refuse what does not fit.

    Args:
        needed: bytes, estimated.
        what: that needs them: "embedding = 65,536".
        instead: what can be done, as the end of a sentence: "make embedding smaller".

    Raises:
        InputError: fewer bytes are free.
    """
    there = free()
    if there is not None and needed > there:
        raise InputError(
            f"The memory does not suffice for {what}: about {in_words(needed)} are needed, and {in_words(there)} are "
            f"free; {instead}."
        )


def keep_freed() -> None:
    """Have what is freed kept for what is asked for next, where that can be told: a step of training frees and asks for
    a megabyte or ten again and again, and each page that went back to the system meanwhile is cleared and mapped anew.
    For the whole process, so the program asks for it, not the engine. See mallopt(3)."""
    if (mallopt := _of_libc("mallopt")) is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def give_back() -> None:
    """Return to the system what has been freed, where that can be asked for: of threads that came and went Linux keeps
    a share each."""
    if (trim := _of_libc("malloc_trim")) is not None:
        trim(0)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAPPED_FROM = 32 << 20
"""Bytes; the most that glibc takes. What is larger is mapped, and goes back when it is freed."""
_KEPT = 64 << 20
"""Bytes that are kept at the end of a heap, of which there is one for some threads."""


def _of_libc(name: str) -> Callable[..., int] | None:
    """A function of the C library, where it has it: glibc does."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def in_words(amount: float) -> str:
    """An amount of bytes: "3.3 GB"."""
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e9 else f"{amount / 1e6:,.0f} MB"


def ran_out(error: BaseException) -> bool:
    """Whether an error says that the memory did not suffice; libraries say it in ways of their own."""
    text = str(error)
    told = any(words in text.lower() for words in _SAID)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or told


_SAID = ("can't allocate memory", "not enough memory", "cannot allocate memory", "std::bad_alloc")
"""By torch, by the system, by what is written in C++."""
RAN_OUT = "The memory does not suffice: make the data, the batch, the embedding or the number of lanes smaller."
"""What is said then."""


def _of_machine() -> int | None:
    return _entry(Path("/proc/meminfo"), "MemAvailable:", 1024)


def _of_group() -> int | None:
    """Of the container, where it has a limit. What the system only keeps of files it gives back."""
    try:
        group = next(
            line.removeprefix("0::") for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"
        )
        folder = _GROUPS / group.lstrip("/")
        folder = folder if (folder / "memory.max").is_file() else _GROUPS
        most, taken = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError, StopIteration):  # no group, or one without a limit, which is "max"
        return None
    return most - taken + (_entry(folder / "memory.stat", "inactive_file", 1) or 0)


def _of_process() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = _entry(Path("/proc/self/status"), "VmSize:", 1024)
    return None if most == resource.RLIM_INFINITY or taken is None else most - taken


def _entry(path: Path, name: str, unit: int) -> int | None:
    """The number after `name` in a file of the system, in bytes."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((unit * int(line.split()[1]) for line in lines if line.startswith(name)), None)
