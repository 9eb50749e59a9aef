"""What the README shows works: its commands parse, its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import av
import pytest

from app.cli import make_app
from app.presets import cards
from hnm_core.spec.compatibility import check, refuse
from hnm_core.spec.request import Request, over_documents, resolve
from hnm_core.spec.resources import template_names
from hnm_core.training.retrieval_request import resolve_retrieval
from tests.forked import Forks

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    """The code blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.removeprefix("$ ").split("#")[0].strip()
    for block in fenced("console")
    for line in block.splitlines()
    if line.startswith("$ hnm-lab")
]


def test_that_the_readme_shows_commands_and_python() -> None:
    assert len(COMMANDS) >= 7
    assert len(fenced("python")) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_that_a_command_of_the_readme_parses(command: str) -> None:
    from typer.main import get_command

    group = get_command(make_app())
    name, *arguments = shlex.split(command)[1:] or ["gui"]
    context = group.make_context("hnm-lab", [name, *arguments])
    _, subcommand, rest = group.resolve_command(context, [name, *arguments])
    parsed = subcommand.make_context(name, rest, parent=context)
    assert parsed.params, "a command without parameters proves nothing"


@pytest.mark.parametrize("block", fenced("python"), ids=["search", "batch", "whole set", "queries", "layers", "run"])
def test_that_the_python_of_the_readme_runs(block: str, tmp_path: Path, forks: Forks) -> None:
    forks.python(block, cwd=tmp_path)


def test_that_every_file_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`((?:docs|resources|hnm_core|app)/[\w./-]+)`", README)) | {"LICENSE", "constraints.txt"}
    assert len(named) >= 5
    assert not [name for name in named if not (ROOT / name).exists()]


def test_that_the_commands_of_the_studies_are_allowed() -> None:
    from typer.main import get_command

    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8").replace("\\\n", "")
    blocks = re.findall(r"^```console\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    commands = [
        shlex.split(line)[2:] for block in blocks for line in block.splitlines() if line.startswith("$ hnm-lab")
    ]
    assert len(commands) >= 10
    group = get_command(make_app())
    for command in commands:
        context = group.make_context("hnm-lab", list(command))
        name, subcommand, rest = group.resolve_command(context, list(command))
        asked = subcommand.make_context(name, rest, parent=context).params
        if name == "compare":
            settings, miners = tuple(asked["settings"] or ()), tuple(asked["miner"] or ())
            file = None if asked["config"] is None else ROOT / asked["config"]
            request = Request(file, asked["preset"], asked["data"], miners, settings)
            if over_documents(request):
                assert resolve_retrieval(request)[0].lanes
            else:
                refuse(check(resolve(request)))


def test_that_every_video_of_the_gallery_is_there_small_and_shown_with_a_picture() -> None:
    named = {f"{card.name}-{template}" for card in cards() for template in card.videos}
    assert len(named) == 8 and {template for card in cards() for template in card.videos} <= set(template_names())
    folder = ROOT / "docs" / "gallery"
    assert {path.name for path in folder.iterdir()} == {f"{name}{end}" for name in named for end in (".webm", ".webp")}
    for name in named:
        assert f"(docs/gallery/{name}.webp)](docs/gallery/{name}.webm)" in README
        with av.open(str(folder / f"{name}.webm")) as film:
            stream = film.streams.video[0]
            assert (stream.width, stream.height, stream.codec_context.name) == (960, 540, "vp9")
            assert film.duration == pytest.approx(12_000_000, rel=0.02) and film.size < 3_000_000


def test_that_every_file_that_the_readme_links_is_there() -> None:
    linked = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", README)
    assert len(linked) > 20 and [path for path in linked if not (ROOT / path.split("#")[0]).exists()] == []
