"""Where things stand in pictures of all shapes."""

from __future__ import annotations

import itertools
import re
from itertools import pairwise

import numpy as np
import pytest

from app.picture.camera import Camera
from app.video.charts import _spread, _Told, _told
from app.video.framing import Framing, View
from app.video.layout import MAX_COLUMNS, Box, arrange, check_type, fitting, frame_of
from hnm_core.errors import InputError

SIZES = [(1920, 1080), (1280, 720), (1080, 1920), (720, 404), (640, 480), (3840, 2160), (320, 180), (1000, 1000)]
PANELS = [(), ("curve",), ("curve", "mining"), ("race", "curve"), ("curve", "loss", "hardness")]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panels", PANELS)
def test_that_nothing_overlaps_or_leaves_the_picture(size: tuple[int, int], panels: tuple[str, ...]) -> None:
    frame = frame_of(*size)
    for lanes in (1, 2, 3, 4, 6):
        layout = arrange(frame, lanes, panels, key=True)
        boxes = [layout.head, layout.key, layout.caption, *layout.clouds, *layout.panels]
        assert len(layout.clouds) == lanes and len(layout.panels) == len(panels)
        for box in boxes:
            assert frame.safe.x <= box.x < box.right <= frame.safe.right
            assert frame.safe.y <= box.y < box.bottom <= frame.safe.bottom
        for a, b in itertools.combinations([*boxes, layout.bar], 2):
            assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y, (a, b)
        assert len({(cloud.width, cloud.height) for cloud in layout.clouds}) == 1
        rows = [cloud.y for cloud in layout.clouds]
        assert max(map(rows.count, rows)) <= MAX_COLUMNS


def test_that_lanes_stand_side_by_side_in_a_wide_picture_and_above_each_other_in_a_tall_one() -> None:
    wide, tall = arrange(frame_of(1920, 1080), 3), arrange(frame_of(1080, 1920), 2)
    assert len({cloud.y for cloud in wide.clouds}) == 1 and len({cloud.x for cloud in tall.clouds}) == 1
    four = arrange(frame_of(1920, 1080), 4)
    assert [len({cloud.y for cloud in four.clouds}), len({cloud.x for cloud in four.clouds})] == [2, 2]


def test_that_a_last_row_that_is_not_full_stands_in_the_middle() -> None:
    clouds: tuple[Box, ...] = arrange(frame_of(1920, 1080), 5).clouds
    assert clouds[3].x + clouds[4].right == pytest.approx(1920, abs=2)
    assert clouds[0].y == clouds[1].y == clouds[2].y < clouds[3].y == clouds[4].y


def test_that_clouds_take_most_of_the_picture_and_charts_stand_where_there_is_room() -> None:
    beside, below = (arrange(frame_of(*size), 1, ("curve",)) for size in ((1920, 1080), (1080, 1920)))
    assert beside.panels[0].x > beside.clouds[0].right and below.panels[0].y > below.clouds[0].bottom
    for size, lanes in itertools.product(((1920, 1080), (1080, 1080), (1080, 1920)), (1, 3)):
        layout = arrange(frame_of(*size), lanes, ("curve", "mining"), key=True)
        assert sum(box.width * box.height for box in layout.clouds) > 0.3 * size[0] * size[1]


def test_that_type_is_as_large_on_a_telephone_whatever_the_shape() -> None:
    units = [frame_of(*size).unit for size in ((1920, 1080), (1080, 1080), (1080, 1920))]
    assert units[0] == 1 < units[1] < units[2] < 1.2
    assert frame_of(3840, 2160).unit == 2 and frame_of(1080, 1920).safe.y > 100


@pytest.mark.parametrize(("size", "lanes"), [((7680, 64), 16), ((64, 64), 16)])
def test_that_a_picture_without_room_is_refused(size: tuple[int, int], lanes: int) -> None:
    with pytest.raises(InputError, match=rf"{size[0]} x {size[1]} pixels has no room for {lanes} lane.*make it"):
        arrange(frame_of(*size), lanes, ("curve", "mining"), key=True)


def test_that_a_film_whose_letters_nobody_can_read_is_refused_with_a_size_that_will_do() -> None:
    for size in ((7680, 64), (64, 7680), (64, 64)):
        with pytest.raises(InputError, match="nobody can read: give it at least") as refusal:
            check_type(*size)
        least = int(re.findall(r"at least (\d+)", str(refusal.value))[0])
        check_type(*(max(side, least) for side in size))
    check_type(160, 120)


def test_that_lanes_in_one_dot_share_a_number_and_no_number_stands_on_the_line_at_the_bottom() -> None:
    black, red, blue = (0, 0, 0), (255, 0, 0), (0, 0, 255)
    heads = [_Told(50.0, y, text, color) for y, text, color in ((90.0, "0.32", red), (90.4, "0.32", blue))]
    assert _told(heads, black) == [_Told(50.0, 90.0, "0.32", black)]
    apart = [heads[0], heads[1]._replace(y=95.0), heads[1]._replace(text="0.33")]
    assert _told(apart, black) == apart, "their lines differ, or what they say"
    plot = Box(0, 20, 100, 80)
    placed = _spread([95.0, 96.0, 97.0], 20.0, plot)
    assert max(placed) + 10 <= plot.bottom and [b - a for a, b in pairwise(placed)] == [20.0, 20.0]


def test_that_one_class_in_a_hundred_that_strays_a_little_stays_in_the_picture() -> None:
    cloud = np.random.default_rng(3).normal(size=(1000, 3)).astype(np.float32)
    cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    cloud[:10] = np.array((0.0, 0.0, 1.22), np.float32) + 0.02 * cloud[:10]
    camera = Framing([lambda _share: cloud], lambda _share: View(Camera(elevation=0.0), 1.0), 2).camera(0, 0.5)
    _, y, _ = camera.project(cloud, 100, 100)
    assert y.min() > 0 and y.max() < 100


@pytest.mark.parametrize("lanes", range(1, 9))
def test_that_a_race_in_a_square_leaves_clouds_high_enough_for_names_and_numbers(lanes: int) -> None:
    frame = frame_of(1080, 1080)
    panels = fitting(frame, lanes, ("race", "curve"))
    layout = arrange(frame, lanes, panels)
    assert min(box.height for box in layout.clouds) >= 139 * frame.unit
    assert panels == (("race", "curve") if lanes <= 3 else ("race",))
    assert layout.panels[0].height >= 30 * frame.unit * min(lanes, 6)  # a bar with its words for each lane
    assert fitting(frame_of(1920, 1080), lanes, ("race", "curve")) == ("race", "curve")
