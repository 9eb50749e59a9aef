"""What writers of files take: the pictures that wait for them, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import av


class Frames(Protocol):
    """Pictures of blue, green, red, 255, with the times at which they are shown."""

    def __iter__(self) -> Iterator[av.VideoFrame]: ...

    def check(self) -> None:
        """To be called where a writer works without asking for pictures: ends it if nobody wants the video."""
