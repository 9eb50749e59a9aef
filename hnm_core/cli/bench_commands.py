"""`bench`: our searches, miners and losses beside their peers, one process, one table."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnm_core.cli.console import echo, say, show_table
from hnm_core.cli.options import PluginOption
from hnm_core.errors import InputError, unknown_name
from hnm_core.system import paths

if TYPE_CHECKING:
    from hnm_core.bench.table import Case, Row, Settings

PACKAGES = (
    *("torch", "numba", "numpy", "scipy", "scikit-learn"),
    *("faiss-cpu", "hnswlib", "pytorch-metric-learning", "sentence-transformers"),
)
"""Whose versions stand above the table."""

Subject = Callable[["Settings"], list["Case"]]
"""Lists the rows of a subject; measures nothing yet."""

NEEDS_APP = "'render' is a subject of hnm-lab's bench: what draws belongs to the app, and this is the engine alone."


def _mining(settings: Settings) -> list[Case]:
    from hnm_core.bench import approximate, exact, hamming, plug_ins

    ours = [*exact.cases(settings), *hamming.cases(settings), *approximate.cases(settings)]
    return [*ours, *plug_ins.cases(settings)]


def _batch(settings: Settings) -> list[Case]:
    from hnm_core.bench import batch

    return batch.cases(settings)


def _losses(settings: Settings) -> list[Case]:
    from hnm_core.bench import losses

    return losses.cases(settings)


def _render(_settings: Settings) -> list[Case]:
    raise InputError(NEEDS_APP)


def _mine(settings: Settings) -> list[Case]:
    from hnm_core.bench import mine

    return mine.cases(settings)


SUBJECTS: Mapping[str, Subject] = {
    "mining": _mining,
    "mine": _mine,
    "losses": _losses,
    "batch": _batch,
    "render": _render,
}


def command(subjects: Mapping[str, Subject] = SUBJECTS) -> Callable[..., None]:
    """The command on these subjects; the app has one more."""

    def bench(
        subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="mining, mine, losses, batch or render.")],
        json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a row on standard output.")] = False,
        quick: Annotated[bool, typer.Option("--quick", help="Small sizes, a few seconds.")] = False,
        large: Annotated[
            bool, typer.Option("--large", help="Also rows that take many minutes: N = 1,000,000.")
        ] = False,
        only: Annotated[
            list[str] | None, typer.Option("--only", metavar="NAME", help="Repeatable: these rows alone.")
        ] = None,
        threads: Annotated[
            int | None, typer.Option("--threads", metavar="N", min=1, max=1_024, help="All processors unless given.")
        ] = None,
        repeat: Annotated[int, typer.Option("--repeat", metavar="N", min=1, max=1_000, help="Runs of a median.")] = 5,
        rows: Annotated[
            int | None, typer.Option("--rows", metavar="N", min=100, max=1_000_000, help="With mine: so many pairs.")
        ] = None,
        growth: Annotated[
            Path | None,
            typer.Option("--growth", metavar="OUT.png", help="With mining: time as N grows instead, and a plot of it."),
        ] = None,
        plugin: PluginOption = None,
    ) -> None:
        """Time, memory and agreement, side by side with the peers that are installed. Nothing else should run."""
        if subject not in subjects:
            raise unknown_name("subject", subject, subjects)
        list_cases = subjects[subject]
        if rows is not None and subject != "mine":
            raise InputError(f"--rows goes with the subject mine, not with {subject}.")
        if growth is not None:
            list_cases = _growth(subject, growth)
        from hnm_core.bench.table import Settings
        from hnm_core.bench.timing import cores, pinned

        settings = Settings(quick, large, threads or cores(), repeat, rows, lambda text: say(f"    {text}"))
        cases = _chosen(list_cases(settings), only or [])
        with pinned(settings.threads):
            measured = _measure(cases, settings, json_lines=json_lines)
        if growth is not None:
            from hnm_core.bench.growth import plot

            plot(measured, growth)
            say(f"Wrote {growth}")

    return bench


def _growth(subject: str, path: Path) -> Subject:
    """The rows of the growth plot, after a look at whether it can be drawn."""
    from hnm_core.bench import growth
    from hnm_core.studies.plots import require_matplotlib

    if subject != "mining":
        raise InputError(f"--growth goes with the subject mining, not with {subject}.")
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"--growth {path} is not allowed: give a file that ends in .png, .svg or .pdf.")
    if not paths.is_folder(path.parent):
        raise InputError(f"--growth {path} cannot be written: there is no folder '{path.parent}'.")
    require_matplotlib()
    return growth.cases


def _chosen(cases: list[Case], names: list[str]) -> list[Case]:
    known = {case.name for case in cases}
    for name in names:
        if name not in known:
            raise unknown_name("row", name, known)
    return [case for case in cases if not names or case.name in names]


def _measure(cases: list[Case], settings: Settings, *, json_lines: bool) -> list[Row]:
    """Measure and show; broken off, it shows what there is."""
    from hnm_core import devices, kernels
    from hnm_core.bench import table
    from hnm_core.bench.levels import in_words, levels
    from hnm_core.bench.limits import limits
    from hnm_core.cli.headless import wait_for_kernels

    for module in (kernels.SEARCH_KERNELS, "hnm_core.miners.in_batch.kernels"):
        wait_for_kernels(module)
    machine = _machine(settings.threads, devices.describe(devices.resolve("cpu")))
    most = limits(settings.threads, quick=settings.quick)
    machine["levels"] = levels()
    machine["limits"] = {name: value if math.isfinite(value) else None for name, value in vars(most).items()}
    versions = ", ".join(f"{name} {version or 'absent'}" for name, version in machine["versions"].items())
    header = f"{machine['device']} of {machine['cores']}; {versions}; {most.in_words}"
    for line in (header, in_words(machine["levels"])):
        if json_lines:
            say(line)
        else:
            echo(line)
    rows: list[Row] = []
    try:
        for place, case in enumerate(cases, 1):
            say(f"[{place}/{len(cases)}] {case.name}, {case.size}")
            rows.append(case.measure())
            if json_lines:
                echo(json.dumps(table.as_json(rows[-1], machine)))
    finally:
        if rows and not json_lines:
            show_table(table.COLUMNS, table.lines(rows), sys.stdout)
    return rows


def _machine(threads: int, device: str) -> dict[str, Any]:
    from hnm_core.bench.timing import cores

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {"device": device, "threads": threads, "cores": cores(), "versions": versions}
