"""Locks on open files. They end with the process that holds them, however it ends."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int, *, shared: bool = False) -> None:
        """Lock an open file until it is closed. Raises `OSError` if somebody else has it; here nobody shares."""
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def try_lock(handle: int, *, shared: bool = False) -> None:
        """Lock an open file until it is closed. Raises `OSError` if somebody else has it, who does not share."""
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
