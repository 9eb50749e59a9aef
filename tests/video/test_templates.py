"""Camera paths and where things stand."""

from __future__ import annotations

import itertools

import pytest

from app.picture.camera import Camera
from app.video import templates
from app.video.templates import MAX_COLUMNS, Box, arrange, timing
from hnm_core.errors import InputError

SIZES = [(1920, 1080), (1280, 720), (1080, 1920), (720, 404), (640, 480), (3840, 2160), (320, 180), (1000, 1000)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lanes", range(1, 17))
def test_that_nothing_overlaps_or_leaves_the_picture(size: tuple[int, int], lanes: int) -> None:
    layout = arrange(*size, lanes)
    boxes = [layout.title, layout.bar, layout.caption, *layout.headers, *layout.clouds]
    assert len(layout.headers) == len(layout.clouds) == lanes
    for box in boxes:
        assert 0 <= box.x < box.right <= size[0] and 0 <= box.y < box.bottom <= size[1]
    for a, b in itertools.combinations(boxes, 2):
        assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y, (a, b)
    assert len({(cloud.width, cloud.height) for cloud in layout.clouds}) == 1
    assert max(sum(cloud.y == row for cloud in layout.clouds) for row in {c.y for c in layout.clouds}) <= MAX_COLUMNS


def test_that_lanes_stand_side_by_side_in_a_wide_picture_and_above_each_other_in_a_tall_one() -> None:
    wide, tall = arrange(1920, 1080, 3), arrange(1080, 1920, 2)
    assert len({cloud.y for cloud in wide.clouds}) == 1 and len({cloud.x for cloud in tall.clouds}) == 1
    four = arrange(1920, 1080, 4)
    assert [len({cloud.y for cloud in four.clouds}), len({cloud.x for cloud in four.clouds})] == [2, 2]


def test_that_a_last_row_that_is_not_full_stands_in_the_middle() -> None:
    clouds: tuple[Box, ...] = arrange(1920, 1080, 5).clouds
    assert clouds[3].x + clouds[4].right == pytest.approx(1920, abs=2)
    assert clouds[0].y == clouds[1].y == clouds[2].y < clouds[3].y == clouds[4].y


def test_that_orbit_turns_evenly_and_fixed_stands_still() -> None:
    base = Camera(azimuth=350.0, elevation=20.0)
    turns = [templates.orbit(base, place / 100).azimuth for place in range(101)]
    steps = [(b - a) % 360 for a, b in itertools.pairwise(turns)]
    assert turns[0] == 350.0 and steps == pytest.approx([2.7] * 100)
    heights = [templates.orbit(base, place / 100).elevation for place in range(101)]
    assert max(heights) == pytest.approx(27) and min(heights) == pytest.approx(13) and heights[-1] == pytest.approx(20)
    assert templates.fixed(base, 0.7) == base
    assert templates.orbit(base, 0.5).distance == base.distance


def test_that_an_unknown_template_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"Unknown video template 'orbitt'. Did you mean orbit"):
        templates.template("orbitt")


def test_that_a_video_shows_the_whole_run_and_from_six_seconds_on_the_results() -> None:
    short, long = timing(2, 30), timing(12, 60)
    assert short.frames == short.run_frames == 60 and short.end_card(59) == 0
    assert (long.frames, long.run_frames) == (720, 630)
    assert (
        long.moment(0) == 0 and long.moment(629) == 1 == long.moment(719) and long.moment(314) < 0.5 < long.moment(315)
    )
    assert long.end_card(629) == 0 < long.end_card(630) < long.end_card(640) < long.end_card(719) == 1
    assert timing(0.1, 1).frames == 1 and timing(0.1, 1).moment(0) == 0


@pytest.mark.parametrize(("size", "lanes"), [((7680, 64), 1), ((784, 120), 12), ((64, 64), 16), ((1920, 360), 16)])
def test_that_a_picture_without_room_is_refused(size: tuple[int, int], lanes: int) -> None:
    with pytest.raises(InputError, match=rf"{size[0]} x {size[1]} pixels has no room for {lanes} lane.*make it higher"):
        arrange(*size, lanes)
