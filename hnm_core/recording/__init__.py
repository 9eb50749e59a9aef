"""Recordings of runs: `record` writes one as the run goes on, `replay` and `open_recording` read it without torch."""

from hnm_core.recording.export import EXPORT_KINDS, export
from hnm_core.recording.joining import Comparison, compared, join
from hnm_core.recording.packing import pack, pack_sizes, unpack, unpacked
from hnm_core.recording.reader import Recording, open_recording, replay
from hnm_core.recording.room import make_room, prune
from hnm_core.recording.runs import copy_run, find_run, is_recording, list_runs, new_run_dir, runs_dir
from hnm_core.recording.writer import record

__all__ = [
    "EXPORT_KINDS",
    "Comparison",
    "Recording",
    "compared",
    "copy_run",
    "export",
    "find_run",
    "is_recording",
    "join",
    "list_runs",
    "make_room",
    "new_run_dir",
    "open_recording",
    "pack",
    "pack_sizes",
    "prune",
    "record",
    "replay",
    "runs_dir",
    "unpack",
    "unpacked",
]
