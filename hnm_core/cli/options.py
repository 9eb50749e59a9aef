"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnm_core.spec import plug_ins
from hnm_core.spec.data_files import ANY_DATA_SUFFIX


def _load(files: list[Path] | None) -> list[Path] | None:
    for file in files or ():
        plug_ins.load_file(file)
    return files


ConfigArgument = Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="A TOML file.", show_default=False)]
PresetOption = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="A preset that ships.")]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="NAME|FILE", help=f"Another data set, or your {ANY_DATA_SUFFIX}.")
]
MinerOption = Annotated[
    list[str] | None,
    typer.Option("--miner", metavar="NAME", help="Repeatable: one lane for each, copied from the first lane."),
]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        callback=_load,
        is_eager=True,
        help="Repeatable: your own code, imported as it is; it registers a miner, a loss, a data set ...",
    ),
]
"""Loaded before the other options are looked at, as these may name what it registers."""
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Repeatable: any field, e.g. lanes.knn.miner_options.pool=5."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of everything random.")]
DeviceOption = Annotated[str | None, typer.Option("--device", metavar="cpu|cuda", help="Where tensors live.")]
StepsOption = Annotated[int | None, typer.Option("--steps", metavar="N", help="Steps of each lane.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A recording: its folder, or its name in `list runs`.")]
