"""Made-up runs for the views: plausible numbers from formulas, so that pictures look like pictures of runs."""

from __future__ import annotations

import numpy as np

from hnm_core.run.events import Alarm, RunStarted, StepRecord, WarmupEnded
from hnm_core.run.history import RunHistory
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig

LANES = {"random": "random", "knn": "knn", "lsh": "lsh"}


def run_history(steps: int = 1000, lanes: int = 3, eval_every: int = 50) -> RunHistory:
    """A run of `lanes` lanes: losses that fall with noise, MAP@R that rises, mining that costs."""
    rng = np.random.default_rng(7)
    names = list(LANES)[:lanes]
    config = ExperimentConfig(
        steps=steps,
        eval_every=eval_every,
        lanes=tuple(LaneConfig(name=name, miner=LANES[name], warmup=steps // 5) for name in names),
    )
    labels = np.arange(1200) % 10
    held_out = np.arange(1200) >= 900
    history = RunHistory()
    history.add(
        RunStarted(
            config, labels, np.arange(1200), held_out, tuple(str(digit) for digit in range(10)), items_total=1200
        )
    )
    for place, name in enumerate(names):
        noise = rng.lognormal(0, 0.25, steps)
        jitter = rng.lognormal(0, 0.12, (steps, len(Phase)))
        for step in range(1, steps + 1):
            warm = step <= steps // 5
            if step == steps // 5 + 1 and name != "random":
                history.add(WarmupEnded(name, step, name))
            history.add(_step(name, place, step, steps, warm, noise[step - 1], jitter[step - 1], eval_every))
    history.add(Alarm("random", steps * 3 // 5, "collapse", "All points have moved to one spot."))
    return history


def _step(
    name: str, place: int, step: int, steps: int, warm: bool, noise: float, jitter: np.ndarray, eval_every: int
) -> StepRecord:
    progress = step / steps
    mines = name != "random" and not warm
    ms = {
        Phase.SELECT: 0.15,
        Phase.TRANSFER: 0.1,
        Phase.FORWARD: 1.1,
        Phase.LOSS: 0.4,
        Phase.BACKWARD: 1.7,
        Phase.STEP: 0.9,
    }
    if mines:
        ms[Phase.SEARCH] = 2.4 if name == "knn" else 0.7
        if step % 10 == 0:
            ms[Phase.EMBED], ms[Phase.BUILD] = 6.0, 3.0 if name == "knn" else 9.0
    hard = int(40 * (1.4 if mines else 0.6) * np.exp(-3 * progress))
    metrics = {}
    if step % eval_every == 0:
        quality = (0.66, 0.93, 0.90)[place] * (1 - np.exp(-5 * progress))
        metrics = {
            "map_at_r": quality,
            "precision_at_1": min(1.0, quality * 1.08),
            "knn_accuracy": min(1.0, quality * 1.09),
            "mean_distance": 1 + 2 * progress,
        }
        if name == "lsh":
            metrics["mining_recall"] = 0.97 - 0.05 * np.exp(-9 * progress)
    return StepRecord(
        name,
        step,
        float(
            (0.08 + 0.5 * np.exp(-(4 + 2 * place) * progress) + (0.2 * np.exp(-6 * progress) if mines else 0)) * noise
        ),
        phase_ms={phase: value * jitter[list(Phase).index(phase)] for phase, value in ms.items()},
        tuples={"mined": 256, "hard": hard, "semi_hard": 60, "easy": 196 - hard, "missing": 0},
        metrics=metrics,
        mining=not warm or name == "random",
        first_call=step == 1,
    )
