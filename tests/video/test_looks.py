"""What a film looks at: one anchor with its negative, the hardest region, what a search missed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from weakref import ref

import numpy as np
import pytest

from app.picture.camera import Camera
from app.picture.edges import HARD, POSITIVE
from app.picture.theme import DARK
from app.video import labels, template
from app.video.canvas import Canvas, painting
from app.video.closeup import close_up
from app.video.film import Film
from app.video.formats import video_format
from app.video.hardest import hardest_region
from app.video.keys import paint_key
from app.video.layout import Box
from app.video.pictures import Pictures, Wishes
from app.video.run_scene import RunScene
from app.video.story import Story
from hnm_core.recording import open_recording, record
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import Event, Frame, Misses, RunStarted, frozen
from hnm_core.run.hardness import Hardness, histogram
from hnm_core.run.shown import QUERY
from hnm_core.training.retrieval_config import RetrievalConfig, told_as
from tests.video.conftest import POINTS, STEPS, growing_run

pytestmark = pytest.mark.usefixtures("qapp")
IDS = np.arange(POINTS) * 2
"""Of the items; the class of the item at a place is place % 3."""
TRIPLETS = ((0, 3, 1), (3, 6, 1), (6, 9, 4), (0, 6, 2), (9, 12, 4))
"""Places: anchor, positive, negative. The first four are hard or semi-hard, three of them of classes 0 and 1."""
SEPARATION = (-0.4, -0.1, 0.1, -0.2, 3.0)


def told(event: Event) -> Event:
    """A frame that tells how hard its triplets were; in the last one the first anchor sits between the other two."""
    if not isinstance(event, Frame):
        return event
    separation = np.array(SEPARATION, np.float32)
    positions = event.positions.copy()
    positions[0], positions[3], positions[1] = (0, 0, 0), (0, 2.0, 0), (1.0, 0, 0)
    return replace(
        event,
        positions=frozen(positions),
        triplets=frozen(IDS[np.array(TRIPLETS)].astype(np.int32)),
        mined_total=len(TRIPLETS),
        separation=frozen(separation),
        age=frozen(np.zeros(len(TRIPLETS), np.int32)),
        hardness=Hardness(0.5, 3, 1, 1, *histogram(separation)),
    )


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tells how hard its tuples were, and what one search missed at two steps."""

    def events() -> Iterator[Event]:
        for event in growing_run():
            if getattr(event, "step", 0) in (20, 40) and isinstance(event, Frame) and event.lane == "knn":
                places = np.array([5, 0]) if event.step == 20 else np.array([7])
                count = len(places)
                yield Misses(
                    "knn", event.step, 30, 12, IDS[places], IDS[places + 1], np.full(count, 0.5), IDS[places + 2],
                    np.full(count, 0.6),
                )  # fmt: skip
            yield told(event)

    path = tmp_path_factory.mktemp("hard") / "run"
    list(record(events(), path))
    return path


def film(folder: Path, lane: str = "knn") -> Film:
    return Film(open_recording(folder), lane, DARK, edge_steps=5)


def test_that_a_close_up_shows_a_hard_triplet_in_words_that_are_true(hard: Path, folder: Path) -> None:
    shot = close_up(film(hard), STEPS, DARK)
    assert shot is not None and shot.step == STEPS
    assert shot.answer == "knn picks one that is 0.40 nearer than the positive: a hard negative."
    anchor, positive, negative = shot.places
    assert (anchor, positive, negative) == (0, 3, 1)
    assert shot.scene.edges.tolist() == [[0, 3], [0, 1]] and shot.scene.edge_kinds.tolist() == [POSITIVE, HARD]
    assert sorted(shot.scene.halos.tolist()) == [0, 1, 3]
    whole = Camera(distance=20.0, radius=4.0)
    far, near = (shot.camera(whole, 1.5, share) for share in (0.0, 1.0))
    assert far.distance == 20 and near.distance < 10
    x, y, _ = near.project(shot.scene.positions[[0, 1, 3]], 300, 200)
    assert ((x > 0) & (x < 300) & (y > 0) & (y < 200)).all()
    assert close_up(film(folder), STEPS, DARK) is None  # a recording that does not tell how hard they were


def test_that_the_three_points_of_a_close_up_stand_out_as_the_eye_comes_near(hard: Path) -> None:
    shot = close_up(film(hard), STEPS, DARK)
    assert shot is not None
    far, near, three = shot.seen(DARK, 0.0), shot.seen(DARK, 1.0), list(shot.places)
    others = np.setdiff1d(np.arange(len(far.radii)), three)
    assert (far.radii == shot.scene.radii).all() and (far.colors == shot.scene.colors).all()
    assert (near.radii[three] == far.radii[three]).all() and (near.colors[three] == far.colors[three]).all()
    assert (near.radii[others] < 0.7 * far.radii[others]).all() and near.colors[others].mean() < far.colors[
        others
    ].mean()


def test_that_no_two_classes_are_looked_for_among_queries_and_documents(hard: Path, tmp_path: Path) -> None:
    def events() -> Iterator[Event]:
        for event in growing_run():
            if isinstance(event, RunStarted):
                data = told_as(RetrievalConfig(), "little").data
                over = event.config.model_copy(update={"data": data})
                event = replace(event, config=over, class_names=("document", QUERY, "c"))
            yield told(event)

    list(record(events(), tmp_path / "run"))
    assert hardest_region(film(hard)) is not None and hardest_region(film(tmp_path / "run")) is None


def test_that_the_camera_goes_to_the_classes_between_which_most_hard_negatives_lie(hard: Path, folder: Path) -> None:
    one = film(hard)
    region = hardest_region(one)
    assert region is not None and region.classes == (0, 1)
    assert region.hard / region.total == pytest.approx(3 / 4)
    assert region.text == "No two classes give knn more hard negatives than a and b."
    positions, labels = one.positions(STEPS), one.started.labels
    middles = [np.median(positions[labels == label], axis=0) for label in (0, 1)]
    np.testing.assert_allclose(region.middle(one, STEPS), np.mean(middles, axis=0), atol=1e-5)
    scene = one.at(STEPS)
    alone, outside = region.alone(scene, DARK, 1.0), scene.strata == 2
    assert (alone.colors[~outside] == scene.colors[~outside]).all()
    assert np.abs(alone.colors[outside].astype(int) - DARK.cloud_top).mean() < 40
    assert hardest_region(film(folder)) is None


def test_that_the_eye_goes_in_to_two_classes_by_name_and_nowhere_without_them(
    hard: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr(labels, "callouts", lambda *args: said.append([word for word, _, _ in args[-1]]))
    zooms = []
    for run in (hard, folder):
        shown = Pictures(run, video_format(tmp_path / "o.mp4", (320, 180), 12), Wishes(template.load("push-in")))
        scene = next(part.scene for part in shown._parts if isinstance(part.scene, RunScene))
        near, whole = scene._shot(0, 0.75, 1.5), scene._framing.camera(0, 0.75)
        assert near is not None
        zooms.append(whole.distance / near.camera.distance)
        scene.draw(shown.empty(), 0.1)
        assert not said
        scene.draw(shown.empty(), 0.75)
        assert said == ([["a", "b"]] if run is hard else [])
        said.clear()
    assert zooms == [pytest.approx(1.0)] * 2, "both fill the picture: in the one its two classes do, too"


def test_that_the_run_stands_still_where_a_search_missed_and_says_by_how_much(hard: Path, tmp_path: Path) -> None:
    shown = Pictures(hard, video_format(tmp_path / "o.mp4", (320, 180), 12), Wishes(template.load("missed")))
    (first, end, one), (later, _, other) = shown.plan.missed
    assert shown.plan.names == ("knn",) and one.moment.step == 20 and other.moment.step == 40
    assert (one.pair.anchor, one.pair.nearest, one.pair.found) == (10, 12, 14) and other.pair.anchor == 14
    assert one.moment.text == "Step 20: knn missed the nearest negative; what it found is 0.100 (20 %) farther."
    assert first < end <= later
    places = [shown.plan.place(share) for share in np.linspace(first + 0.005, end - 0.01, 20).tolist()]
    assert max(places) - min(places) < 0.1
    scene = next(part.scene for part in shown._parts if isinstance(part.scene, RunScene))
    before, held = (scene._shot(0, share, 1.5) for share in (first - 0.01, (first + end) / 2))
    assert before is not None and held is not None
    xs, ys, _ = held.camera.project(held.scene.positions[[5, 6, 7]], 300, 200)
    assert np.hypot(xs.mean() - 150, ys.mean() - 100) < 40, "it looks at the three"
    assert held.scene.edges[-2:].tolist() == [[5, 6], [5, 7]]
    assert np.ptp(shown.at(round((first + end) / 2 * len(shown)))[..., :3]) > 100


def test_that_mining_that_begins_is_seen_from_near_in_a_whole_film(hard: Path, tmp_path: Path) -> None:
    shown = Pictures(hard, video_format(tmp_path / "o.mp4", (200, 200), 3), Wishes(template.load("orbit")))
    assert len(shown._parts) == 5 and len(list(shown)) == len(shown) == round(3 * template.load("orbit").seconds)


@pytest.mark.parametrize(
    ("names", "several", "words"),
    [
        (("sea", "sky"), True, ["rarest label:", "sea", "sky"]),
        (("sea", "sky"), False, ["sea", "sky"]),
        (("sea", "a sky with many clouds"), True, ["coloured by rarest label"]),
        (tuple(f"label {place}" for place in range(12)), True, ["coloured by rarest label"]),
        (tuple(map(str, range(40))), True, ["coloured by rarest label"]),
        (tuple(map(str, range(40))), False, []),
    ],
)
def test_that_the_key_says_that_colours_are_those_of_rarest_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], several: bool, words: list[str]
) -> None:
    first, *rest = growing_run()
    assert isinstance(first, RunStarted)
    evaluated = Evaluated(90, 90, 90, 0, shares=several)
    list(record([replace(first, class_names=(*names, "c"), evaluated=evaluated), *rest], tmp_path / "run"))
    written: list[str] = []
    monkeypatch.setattr(Canvas, "text", lambda _canvas, _box, said, *_: written.append(said))
    story = Story(open_recording(tmp_path / "run"))
    with painting(np.zeros((720, 1280, 4), np.uint8), DARK, 0.6) as canvas:
        paint_key(canvas, Box(20, 600, 1200, 30), story, story.lanes, "clouds")
    assert [said for said in written[2:] if said] == [*words, *("c" for _ in words[1:2])], "after two kinds of edges"


@pytest.mark.parametrize("name", ["orbit", "push-in", "missed", "wipe", "one-lane"])
def test_that_a_film_that_nobody_wants_is_let_go_of_at_once(hard: Path, tmp_path: Path, name: str) -> None:
    shown = Pictures(hard, video_format(tmp_path / "o.mp4", (320, 180), 12), Wishes(template.load(name)))
    shown.at(len(shown) // 2)
    scenes = [part.scene for part in shown._parts if isinstance(part.scene, RunScene)]
    held = [ref(scene) for scene in scenes] + [ref(film) for scene in scenes for film in scene._clouds.films.values()]
    gc.collect()
    gc.disable()  # a window that looks at film after film holds gigabytes before the collector comes by
    try:
        del shown, scenes
        assert [each() for each in held] == [None] * len(held)
    finally:
        gc.enable()
