"""Templates: those that ship are right, and what is wrong with one of the user's is told by field."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from app.video import template
from app.video.pictures import lengths
from app.video.template import from_dict, load
from hnm_core.errors import InputError
from hnm_core.spec.resources import template_names

PLAIN: dict[str, Any] = {
    "title": "Mine",
    "scenes": [
        {"kind": "title", "seconds": 2},
        {"kind": "run", "seconds": 6, "camera": [{"at": 0}, {"at": 1, "turn": 90}]},
        {"kind": "end", "seconds": 2},
    ],
}


def test_that_every_template_that_ships_is_right_and_says_what_it_is() -> None:
    names = template_names()
    assert names[0] == template.DEFAULT == "orbit"
    assert {"push-in", "one-lane", "wipe", "race", "missed", "square", "vertical", "loop", "untimed", "own-path"} < set(
        names
    )
    for name in names:
        shipped = load(name)
        assert shipped.about.endswith(".") and 3 < shipped.seconds < 40 and shipped.run.seconds > 5
    assert load("square").sides == (1080, 1080) and load("vertical").sides == (1080, 1920) and load("loop").loop


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("title"), "'title' is missing"),
        (lambda t: t.update(size="big"), "size = 'big' is not allowed: it must be WIDTHxHEIGHT"),
        (lambda t: t.update(size="9999x100"), "64 to 7,680 pixels each way"),
        (lambda t: t.update(fps=True), "fps = true is not allowed: it must be a whole number"),
        (lambda t: t.update(colour=1), "Unknown option 'colour'"),
        (lambda t: t["scenes"].pop(1), "exactly one of them must be of the kind 'run'"),
        (lambda t: t["scenes"][1].update(seconds=0), "scenes.1.seconds = 0 is not allowed: it must be above 0"),
        (lambda t: t["scenes"][1].update(panels=["curves"]), "scenes.1.panels.0 = 'curves' is not allowed"),
        (lambda t: t["scenes"][1].update(view="two"), "scenes.1.view = 'two' is not allowed"),
        (lambda t: t["scenes"][1]["camera"][1].update(ease="bounce"), "scenes.1.camera.1.ease = 'bounce'"),
        (
            lambda t: t["scenes"][1]["camera"][1].update(at=2),
            "scenes.1.camera.1.at = 2 is not allowed: it must be at m",
        ),
        (lambda t: t["scenes"][1]["camera"].reverse(), "must come in the order of 'at'"),
        (lambda t: t["scenes"][1].update(captions={"part": "{who} parts"}), "captions.part names {who}; it may hold"),
        (lambda t: t["scenes"][1].update(captions={"part": "{step.real}"}), "captions.part names {step.real}"),
        (lambda t: t["scenes"][1].update(captions={"party": "!"}), "captions.party"),
    ],
)
def test_that_a_wrong_field_is_named_with_what_is_allowed(change, words: str) -> None:
    wrong = copy.deepcopy(PLAIN)
    change(wrong)
    with pytest.raises(InputError) as caught:
        from_dict(wrong, "'mine.toml'")
    assert str(caught.value).startswith("'mine.toml': ") and words in str(caught.value)


def test_that_a_file_of_the_users_is_read_and_what_is_no_template_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('title = "T"\n[[scenes]]\nkind = "run"\nseconds = 3\n')
    assert load(own).title == "T"
    with pytest.raises(InputError, match=r"Unknown video template 'orbitt'. Did you mean orbit"):
        load("orbitt")
    with pytest.raises(InputError, match="There is no template file"):
        load(tmp_path / "none.toml")
    own.write_text("title = [")
    with pytest.raises(InputError, match="is not valid TOML"):
        load(own)
    own.unlink()
    own.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load(own)


def test_that_the_run_takes_what_is_left_and_a_short_film_is_the_run_alone() -> None:
    mine = from_dict(PLAIN)

    def seconds(wanted: float | None) -> list[float]:
        return [each for _, each in lengths(mine, wanted)]

    assert seconds(None) == [2, 6, 2] and seconds(20) == [2, 16, 2]
    assert seconds(8) == pytest.approx([1.6, 4.8, 1.6]) and seconds(3) == [3]
