"""What a film is likely to cost, judged by some of its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.video.clock import Caption
from app.video.estimate import estimate
from app.video.order import Order, within
from hnm_core.errors import InputError
from tests.families import one_in

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.mark.parametrize("suffix", one_in(2, [".mp4", ".webm", ".gif", ".png"]))
def test_that_the_estimated_size_is_near_that_of_the_file(folder: Path, tmp_path: Path, suffix: str) -> None:
    order = Order(folder, suffix=suffix, size=(320, 200), seconds=8.0, fps=12)
    found = estimate(order.pictures(), order.format(), setup_s=1000.0)
    out = tmp_path / "film" / "%05d.png" if suffix == ".png" else tmp_path / f"out{suffix}"
    made = order.render(out, lambda _done, _total: True)
    assert made is not None and found is not None
    assert 0.6 < found.file_bytes / made.file_bytes < 1.6
    assert found.seconds > 1000  # making it ready counts


def test_that_an_estimate_that_nobody_waits_for_ends_early(folder: Path) -> None:
    order = Order(folder, size=(320, 200), seconds=8.0)
    asked = []

    def wanted() -> bool:
        asked.append(1)
        return len(asked) < 3

    assert estimate(order.pictures(), order.format(), 0.0, wanted) is None
    assert len(asked) < 10


def test_that_a_preview_keeps_the_shape_and_is_never_larger_than_the_film() -> None:
    assert within((1920, 1080), (960, 2000)) == (960, 540)
    assert within((1080, 1920), (960, 480)) == (270, 480)
    assert within((640, 360), (4000, 4000)) == (640, 360)


def test_that_the_preview_of_an_order_has_as_many_pictures_as_its_film(folder: Path) -> None:
    order = Order(folder, suffix=".gif", size=(1280, 720), seconds=2.0, fps=60)
    assert len(order.pictures((100, 100))) == len(order.pictures())
    assert order.pictures().empty().shape == (404, 720, 4)
    assert order.pictures((200, 200)).empty().shape == (112, 200, 4)


def test_that_captions_are_said_without_working_out_the_film_anew(folder: Path) -> None:
    order = Order(folder, size=(640, 400), seconds=1.0, fps=10)
    pictures = order.pictures()
    before = pictures.at(5)
    caption = pictures.plan.captions
    pictures.set_captions([Caption(0.0, 1.0, "A sentence of the user's.", "look")])
    anew = Order(folder, size=(640, 400), seconds=1.0, fps=10, captions=pictures.plan.captions).pictures()
    assert (pictures.at(5) == anew.at(5)).all() and (pictures.at(5) != before).any()
    pictures.set_captions(caption)
    assert (pictures.at(5) == before).all()


def test_that_a_length_or_size_that_is_not_allowed_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(InputError, match="seconds = 0"):
        Order(folder, seconds=0.0).format()
    with pytest.raises(InputError, match="9000 x 100"):
        Order(folder, size=(9000, 100)).format()
