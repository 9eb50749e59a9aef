"""A run again with other seeds, by `hnm-lab compare` in a process of its own. No Qt."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.progress import Progress
from app.training.commands import own_code, run
from hnm_core.errors import InputError
from hnm_core.run.results import DOCUMENT_LEVEL, LEVEL, LEVEL_NAMES
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import preset_of
from hnm_core.studies.made_of import made_of
from hnm_core.training.retrieval_config import to_train
from hnm_core.training.retrieval_request import preset_told
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.studies.comparing import Estimate, Trial

SEEDS = 5


def folder_of(config: ExperimentConfig, root: Path) -> Path:
    """Where the results of a configuration are kept, as the program and the files that it names are now: asked for
    again, what is there is not trained again. Raises `InputError` where it is not known what trains it."""
    asked = to_train(config)
    text = json.dumps([asked.to_dict(), made_of(asked)], sort_keys=True)
    return root / hashlib.sha256(text.encode()).hexdigest()[:16]


def experiment_file(config: ExperimentConfig, folder: Path) -> Path:
    """`config` as a TOML file that stays, written beside the results in `folder`. Raises `OSError`, and `InputError`
    where it is not known what trains it."""
    file = folder.with_suffix(".toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(configuration.dump(to_train(config)), encoding="utf-8")
    return file


def command(config: ExperimentConfig, file: Path, plug_ins: Sequence[Path]) -> str:
    """What does the same in a terminal, by the name of a preset or by `file`, which holds `config`."""
    preset = preset_told(config) if is_over_documents(config.data.name) else preset_of(config)
    what = ("--preset", preset) if preset else (str(file),)
    return shlex.join(("hnm-lab", "compare", *what, "--seeds", str(SEEDS), *own_code(plug_ins)))


def repeat(
    config: ExperimentConfig, file: Path, folder: Path, plug_ins: Sequence[Path], progress: Progress
) -> tuple[str, ...]:
    """Train `config`, which `file` holds, with five seeds, its own the first, results in `folder`; what came of it, in
    lines. Where this process is killed meanwhile, the training ends with it.

    Raises:
        InputError: it could not be trained, with what was said of it; or `progress` called it off. What is done stays.
    """
    from hnm_core.studies.comparing import finished_trials  # loads scipy, which the window has no need of

    arguments = ("compare", str(file), "--seeds", str(SEEDS), "--out", str(folder), *own_code(plug_ins))
    ended = run(arguments, progress, lambda _said: (len(finished_trials(folder)), SEEDS))
    trials = finished_trials(folder)
    if len(trials) < SEEDS:
        raise InputError(f"The comparison ended early: {ended.last_words}")
    metric = DOCUMENT_LEVEL if is_over_documents(config.data.name) else LEVEL
    return words_of(trials, [lane.name for lane in config.lanes], metric)


def words_of(trials: Sequence[Trial], lanes: Sequence[str], metric: str = LEVEL) -> tuple[str, ...]:
    """What several seeds say of each lane with 95 % intervals, and of each beside the first with the verdict of
    `hnm-lab compare`, by `LEVEL` or `DOCUMENT_LEVEL`."""
    from hnm_core.studies.comparing import estimate, summary
    from hnm_core.studies.equal_time import at_equal_time, equal_seconds, is_timed
    from hnm_core.studies.verdicts import judge

    seeds = f"Seeds {trials[0].seed} to {trials[-1].seed}"
    lines = [f"{seeds}, {LEVEL_NAMES[metric]}: " + _each({lane: summary(trials, lane, metric) for lane in lanes})]
    for line in judge(trials, lanes, lanes[0], (metric,)):
        told = f"{_shown(line.difference, sign='+')}, {line.words}"
        lines.append(f"{line.lane} beside {line.base}, paired by seed: {told}")
    if len(lanes) > 1 and is_timed(trials):
        spent = estimate([equal_seconds(trial) for trial in trials]).mean
        by_lane = {lane: at_equal_time(trials, lane) for lane in lanes}
        lines.append(f"At equal time, {spent:.3g} s of training: {_each(by_lane)}")
    return tuple(lines)


def _each(lanes: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{lane} {_shown(each)}" for lane, each in lanes.items())


def _shown(estimate: Estimate, sign: str = "") -> str:
    if not math.isfinite(estimate.mean):
        return "not measured"
    width = f" ± {number(estimate.half_width)}" if math.isfinite(estimate.half_width) else ""
    return f"{estimate.mean:{sign}.3f}{width}"
