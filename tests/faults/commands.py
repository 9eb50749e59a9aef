"""Every command of `hnm-lab`, called as cheaply as it can be called and still do its work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.cli.conftest import TINY

LITTLE = (
    TINY.replace("steps = 6", "steps = 2")
    .replace('miner = "knn"', 'miner = "random"')
    .replace("miner_options = { pool = 2 }\n", "")
)
"""No kernels, two steps."""


@dataclass(frozen=True)
class Command:
    """How a command is called, with `{run}`, `{data}`, `{config}` and `{new}` for a recording, a data file, a
    configuration and a path that is free."""

    words: str
    prints: bool = True
    """Whether it has results for standard output."""
    slow: bool = False

    @property
    def name(self) -> str:
        return " ".join(word for word in self.words.split() if "{" not in word)[:40]

    def arguments(self, things: Things, new: Path) -> list[str]:
        """For one call; `new` must not exist."""
        places = {"run": things.run, "data": things.data, "config": things.config, "new": new}
        return [word.format(**places) for word in self.words.split()]


@dataclass(frozen=True)
class Things:
    """What commands work on."""

    run: Path
    data: Path
    config: Path

    @classmethod
    def made_in(cls, folder: Path) -> Things:
        """All but the recording, which a run has to make."""
        config, data = folder / "tiny.toml", folder / "data.npz"
        config.write_text(LITTLE)
        np.savez(data, x=np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32), y=np.arange(60) % 3)
        return cls(folder / "run", data, config)


COMMANDS = (
    Command("--version"),
    Command("--help"),
    Command("list miners"),
    Command("list presets"),
    Command("list runs", prints=False),
    Command("run {config}"),
    Command("run {config} --json"),
    Command("run {config} --record {new}"),
    Command("compare {config} --seeds 2 --steps 1 --out {new}", slow=True),
    Command("tune {config} --lane one --trials 1 --steps 1 --option optimizer.lr=1e-3..1e-2 --out {new}", slow=True),
    Command("inspect {run}"),
    Command("export {run} --to csv --out {new}"),
    Command("evaluate {data}"),
    Command("evaluate {run}"),
    Command("embed {run} {data} {new}.npz"),
    Command("features {data} {new}.npz --backbone mlp"),
    Command("doctor", slow=True),
    Command("bench losses --quick --repeat 1 --only triplet-margin --threads 1", slow=True),
    Command("render {run} {new}.mp4 --seconds 0.2 --size 128x128 --fps 10", prints=False),
    Command("demo {new}.mp4 --preset demo-2019 --steps 1 --seconds 0.2 --size 128x128 --fps 10", slow=True),
)
"""The window is another matter: it has no output."""
