"""What the run of a recording came to."""

from __future__ import annotations

from hnm_core.recording.reader import Recording
from hnm_core.run.results import Results


def recorded_results(recording: Recording) -> Results:
    """What the run of a recording came to. Raises `InputError` where it is damaged."""
    return Results(recording.history())
