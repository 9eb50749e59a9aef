"""A run again with other seeds, by `hnm-lab compare` in a process of its own. No Qt."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.progress import Progress
from hnm_core.errors import InputError
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import processes
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.studies.comparing import Estimate, Trial

SEEDS = 5
JUDGED_BY = "map_at_r"
LOOK_S = 0.25
"""Between two looks at how far it is."""
PATIENCE_S = 20.0
"""So long a comparison that was called off may take to end in order."""


def folder_of(config: ExperimentConfig, root: Path) -> Path:
    """Where the results of a configuration are kept: asked for again, what is there is not trained again."""
    text = json.dumps(config.to_dict(), sort_keys=True)
    return root / hashlib.sha256(text.encode()).hexdigest()[:16]


def repeat(config: ExperimentConfig, folder: Path, plug_ins: Sequence[Path], progress: Progress) -> tuple[str, ...]:
    """Train `config` with five seeds, its own the first, results in `folder`; what came of it, in lines.

    Raises:
        InputError: it could not be trained, with what was said of it; or `progress` called it off. What is done stays.
    """
    from hnm_core.studies.comparing import finished_trials  # loads scipy, which the window has no need of

    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as said:
        file = Path(place) / "experiment.toml"
        file.write_text(configuration.dump(config), encoding="utf-8")
        own_code = [argument for path in plug_ins for argument in ("--plugin", str(path))]
        arguments = ("compare", str(file), "--seeds", str(SEEDS), "--out", str(folder), *own_code)
        process = subprocess.Popen(
            processes.command("hnm_core", arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=processes.environment(),
        )
        try:
            while process.poll() is None:
                if not progress(len(finished_trials(folder)), SEEDS):
                    raise InputError("Called off; the seeds that are done stay.")
                time.sleep(LOOK_S)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        said.seek(0)
        words = said.read().decode(errors="replace").strip().splitlines()
    trials = finished_trials(folder)
    if len(trials) < SEEDS:
        raise InputError(f"The comparison ended early: {words[-1] if words else 'it said nothing'}")
    return words_of(trials, [lane.name for lane in config.lanes])


def words_of(trials: Sequence[Trial], lanes: Sequence[str]) -> tuple[str, ...]:
    """What several seeds say of each lane with 95 % intervals, and of each beside the first with the verdict of
    `hnm-lab compare`."""
    from hnm_core.studies.comparing import summary
    from hnm_core.studies.verdicts import judge

    seeds = f"Seeds {trials[0].seed} to {trials[-1].seed}"
    means = [(lane, summary(trials, lane, JUDGED_BY)) for lane in lanes]
    lines = [f"{seeds}, MAP@R: " + ", ".join(f"{lane} {_shown(each)}" for lane, each in means)]
    for line in judge(trials, lanes, lanes[0], (JUDGED_BY,)):
        told = f"{_shown(line.difference, sign='+')}, {line.words}"
        lines.append(f"{line.lane} beside {line.base}, paired by seed: {told}")
    return tuple(lines)


def _shown(estimate: Estimate, sign: str = "") -> str:
    if not math.isfinite(estimate.mean):
        return "not measured"
    width = f" ± {number(estimate.half_width)}" if math.isfinite(estimate.half_width) else ""
    return f"{estimate.mean:{sign}.3f}{width}"
