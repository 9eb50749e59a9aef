"""Two recordings as one: every number of both is in it, what differs is said, what cannot be compared is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import compared, join, open_recording, record
from hnm_core.recording.joining import Comparison
from hnm_core.run.events import Event, LaneForked, RunFinished, RunStarted, Weights, frozen
from hnm_core.run.raw import RawScore
from tests.recording import made_up

LANES = ("random", "knn")


def run(seed: int, start: RunStarted | None = None, steps: int = 6) -> Iterator[Event]:
    """Two lanes, from one of which a third is forked off."""
    rng = np.random.default_rng(seed)
    yield start or made_up.started(lanes=LANES)
    for number in range(1, steps + 1):
        for lane in LANES:
            yield made_up.step(rng, lane, number)
            yield made_up.frame(rng, lane, number)
    yield LaneForked("forked", steps, "knn")
    yield made_up.step(rng, "forked", steps + 1)
    yield Weights("knn", steps, {"layer.weight": frozen(rng.normal(size=(3, 4)).astype(np.float32))}, 4)
    yield RunFinished({"random": steps, "knn": steps, "forked": steps + 1}, 2.0)


def recorded(path: Path, events: Iterator[Event]) -> Path:
    list(record(events, path))
    return path


def with_config(**changes: object) -> RunStarted:
    start = made_up.started(lanes=LANES)
    return replace(start, config=start.config.model_copy(update=changes))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("joining")
    return recorded(folder / "a", run(1)), recorded(folder / "b", run(2, with_config(steps=7, frame_every=3)))


def test_that_every_step_frame_fork_and_network_of_both_is_in_the_joined_recording(both, tmp_path) -> None:
    a, b = both
    found = join(a, b, tmp_path / "out")
    joined = open_recording(tmp_path / "out")
    joined.check()
    assert joined.losses == () and joined.lanes == ("random", "knn", "B random", "B knn", "forked", "B forked")
    for source, prefix in ((open_recording(a), ""), (open_recording(b), "B ")):
        for lane in source.lanes:
            name = f"{prefix}{lane}"
            assert joined.frame_steps(name).tolist() == source.frame_steps(lane).tolist()
            for place in range(len(source.frame_steps(lane))):
                one, other = joined.frame(name, place), source.frame(lane, place)
                assert np.array_equal(one.positions, other.positions, equal_nan=True)
                assert np.array_equal(one.triplets, other.triplets)
            history, before = joined.history().lanes[name], source.history().lanes[lane]
            assert np.array_equal(history.loss, before.loss) and np.array_equal(history.steps, before.steps)
        network, before = joined.weights(f"{prefix}knn"), source.weights("knn")
        assert network is not None and before is not None
        assert np.array_equal(network.arrays["layer.weight"], before.arrays["layer.weight"])
    forks = {event.lane: (event.parent, event.step) for event in joined.events if isinstance(event, LaneForked)}
    assert forks == {"forked": ("knn", 6), "B forked": ("B knn", 6)}
    assert found is not None and "steps 1000, 7" in found.sentence and "frame_every 10, 3" in found.sentence
    assert found.sentence in joined.config.about and joined.config.title == "Made up beside Made up"
    ended = joined.finished
    assert isinstance(ended, RunFinished) and not ended.stopped and ended.steps["B forked"] == 7


def test_that_a_third_recording_stands_beside_two(both, tmp_path) -> None:
    join(*both, tmp_path / "two")
    join(tmp_path / "two", both[0], tmp_path / "three")
    assert open_recording(tmp_path / "three").lanes[4:6] == ("C random", "C knn")


def test_that_networks_that_are_built_otherwise_are_left_out(both, tmp_path) -> None:
    start = made_up.started(lanes=LANES)
    model = start.config.model.model_copy(update={"options": {"embedding": 7}})
    other = recorded(tmp_path / "b", run(2, with_config(model=model)))
    join(both[0], other, tmp_path / "out")
    joined = open_recording(tmp_path / "out")
    assert joined.weights("knn") is not None and joined.weights("B knn") is None


def test_that_equal_configurations_have_equal_hashes_whatever_they_are_called(both, tmp_path) -> None:
    start = made_up.started(lanes=LANES, title="Another name")
    found = compared(open_recording(both[0]), open_recording(recorded(tmp_path / "b", run(3, start))))
    assert found.hashes[0] == found.hashes[1] and "equal configurations" in found.sentence
    lanes = Comparison(("0" * 8, "1" * 8), ()).sentence
    assert lanes.endswith("differ in their lanes alone.")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (replace(made_up.started(lanes=LANES), ids=np.arange(60) * 4), "the items that are shown differ"),
        (replace(made_up.started(lanes=LANES), held_out=np.arange(60) % 3 == 0), "the held-out items differ"),
        (replace(made_up.started(lanes=LANES), true_labels=None), "their true classes differ"),
        (
            replace(made_up.started(lanes=LANES), raw=(RawScore("raw embeddings", "euclidean", {"map_at_r": 0.51}),)),
            "the scores of the untrained features differ",
        ),
        (replace(with_config(seed=5), raw=()), "nothing recorded tells"),
    ],
)
def test_that_recordings_of_other_data_are_refused_with_what_differs(both, tmp_path, start, words) -> None:
    other = recorded(tmp_path / "b", iter([start, RunFinished({}, 0.0)]))
    with pytest.raises(InputError, match=words):
        join(both[0], other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_that_joining_that_is_called_off_leaves_nothing(both, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hnm_core.recording.joining._EVERY", 3)
    assert join(*both, tmp_path / "new", progress=lambda done, _total: done < 9) is None
    (tmp_path / "empty").mkdir()
    assert join(*both, tmp_path / "empty", progress=lambda _done, _total: False) is None
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_that_a_folder_that_holds_something_is_refused_and_stays(both, tmp_path) -> None:
    kept = recorded(tmp_path / "kept", run(4))
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="not empty"):
        join(*both, kept)
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before


def test_that_the_command_says_what_the_two_have_in_common(both, tmp_path) -> None:
    from typer.testing import CliRunner

    from app.cli import make_app

    done = CliRunner().invoke(make_app(), ["join", *map(str, both), str(tmp_path / "out")])
    assert done.exit_code == 0 and "are of the same data and differ in" in " ".join(done.output.split())
    assert open_recording(tmp_path / "out").lanes[2] == "B random"
