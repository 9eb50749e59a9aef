"""Every command of `hnm-lab`, called as cheaply as it can be called and still do its work."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
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
    """How a command is called, with `{run}`, `{data}`, `{config}`, `{pairs}` and `{new}` for a recording, a data file,
    a configuration, texts of queries and documents, and a path that is free."""

    words: str
    prints: bool = True
    """Whether it has results for standard output."""
    slow: bool = False

    @property
    def name(self) -> str:
        return " ".join(word for word in self.words.split() if "{" not in word)[:40]

    def arguments(self, things: Things, new: Path) -> list[str]:
        """For one call; `new` must not exist."""
        return [word.format(**vars(things), new=new) for word in self.words.split()]


@dataclass(frozen=True)
class Things:
    """What commands work on."""

    run: Path
    data: Path
    config: Path
    pairs: Path

    def moved_to(self, folder: Path) -> Things:
        """Where they are when all of them are in another folder."""
        return Things(*(folder / place.name for place in astuple(self)))

    @classmethod
    def made_in(cls, folder: Path) -> Things:
        """All but the recording, which a run has to make."""
        config, data, pairs = folder / "tiny.toml", folder / "data.npz", folder / "pairs.jsonl"
        config.write_text(LITTLE)
        np.savez(data, x=np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32), y=np.arange(60) % 3)
        lines = (
            json.dumps({"query": f"how to {word}", "positive": f"{word} so"})
            for word in ("cut", "fold", "glue", "nail")
        )
        pairs.write_text("\n".join(lines))
        return cls(folder / "run", data, config, pairs)


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
    Command("mine {pairs} {new}.jsonl --encoder hashed-words"),
    Command("review {new}.jsonl --data {data} --list"),
    Command("mine {data} {new}.jsonl --format ids --json", slow=True),
    Command("encode {pairs} {new}", slow=True),
    Command("audit {data} {new} --anchors 9", slow=True),
    Command("doctor", slow=True),
    Command("bench losses --quick --repeat 1 --only triplet-margin --threads 1", slow=True),
    Command("render {run} {new}.mp4 --seconds 0.2 --size 128x128 --fps 10", prints=False),
    Command("demo {new}.mp4 --preset demo-2019 --steps 1 --seconds 0.2 --size 128x128 --fps 10", slow=True),
)
"""The window is another matter: it has no output."""
