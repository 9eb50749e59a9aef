"""The process that lays a moment out: what it answers, and that it goes when it is no longer wanted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from app.training import asking, tsne
from app.training.messages import LaidOut, LayOut, Refused
from app.training.tsne_child import laid_out
from hnm_core.errors import InputError
from hnm_core.evaluation.projection import tsne_snapshot
from hnm_core.recording import open_recording, record
from hnm_core.run.control import Control, Embedded
from hnm_core.run.events import StepRecord
from hnm_core.training.experiment import Experiment
from tests.app import engine

POINTS = 120
UNIT = {"name": "unit", "miner": "random", "normalize": True}


def request(seed: int = 3, **vectors: np.ndarray) -> LayOut:
    ids = np.arange(len(next(iter(vectors.values()))))
    lanes = {lane: Embedded(7, given) for lane, given in vectors.items()}
    return LayOut(ids, np.zeros_like(ids), seed, lanes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two lanes whose embeddings have six dimensions."""
    of = engine.config(
        steps=6, lanes=[engine.LANES[0], UNIT], model={"options": {"widths": [8], "embedding": 6}}, device="cpu"
    )
    folder = tmp_path_factory.mktemp("recorded") / "run"
    for _ in record(Experiment(of).run(), folder):
        pass
    return folder


def of_recording(folder: Path) -> LayOut:
    started = open_recording(folder).started
    return LayOut(started.ids, started.labels, started.config.seed, {}, folder)


def test_that_each_lane_is_laid_out_as_t_sne_of_its_vectors_with_the_seed_of_the_run():
    vectors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    asked = request(one=vectors, two=2 * vectors[::-1])
    first, second = laid_out(asked)
    assert (first.lane, first.step, first.of, second.lane) == ("one", 7, 2, "two")
    expected = tsne_snapshot(torch.from_numpy(vectors), dim=3, seed=3, quick=True)
    np.testing.assert_array_equal(first.positions, expected.numpy())


def test_that_a_recording_is_laid_out_by_the_networks_it_has_kept(folder: Path):
    from hnm_core.studies.embedding import trained_network

    recording = open_recording(folder)
    answers = {one.lane: one for one in laid_out(of_recording(folder))}
    assert set(answers) == {"random", "unit"} and {one.step for one in answers.values()} == {6}
    from hnm_core import data

    of = recording.config.data
    features = torch.from_numpy(np.array(data.build(of.part, seed=recording.config.seed).x))
    with torch.no_grad():
        embedded = trained_network(recording, "unit")[0](features)
    unit = torch.nn.functional.normalize(embedded)
    expected = tsne_snapshot(unit, dim=3, seed=recording.config.seed, quick=True).numpy()
    assert np.corrcoef(answers["unit"].positions.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.thorough
def test_that_an_audit_and_a_lane_that_was_forked_off_are_laid_out_too(tmp_path: Path):
    audit = engine.config(steps=3, model={"name": "identity"}, device="cpu")
    for _ in record(Experiment(audit).run(), tmp_path / "audit"):
        pass
    answers = list(laid_out(of_recording(tmp_path / "audit")))
    assert [one.lane for one in answers] == ["random", "knn"]
    np.testing.assert_array_equal(answers[0].positions, answers[1].positions)

    control = Control()
    of = engine.config(steps=6, lanes=[UNIT], model={"options": {"widths": [8], "embedding": 6}}, device="cpu")
    for event in record(Experiment(of).run(control), tmp_path / "forked"):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("unit", 2):
            control.fork("unit", "twin")
    first, second = laid_out(of_recording(tmp_path / "forked"))
    assert (first.lane, second.lane) == ("unit", "twin")
    np.testing.assert_array_equal(first.positions, second.positions)


def test_that_what_cannot_be_laid_out_is_told_in_a_sentence(folder: Path, tmp_path: Path):
    def sentence(asked: LayOut) -> str:
        (answer,) = laid_out(asked)
        assert isinstance(answer, Refused)
        return answer.sentence

    assert "NaN or infinity" in sentence(request(one=np.full((9, 4), np.nan, np.float32)))
    asked = of_recording(folder)
    changed = "The data are not those that this run was trained on."
    assert sentence(asked._replace(labels=asked.labels[::-1])) == changed
    assert sentence(asked._replace(ids=asked.ids + 5)) == changed
    broken_off = Path(shutil.copytree(folder, tmp_path / "run"))
    for path in broken_off.glob("*/weights.npz"):
        path.unlink()
    assert "was broken off before its end" in sentence(asked._replace(recording=broken_off))


@pytest.mark.thorough
def test_that_the_process_tells_lane_after_lane_and_the_same_again_for_the_same_seed():
    vectors = np.random.default_rng(1).normal(size=(90, 8)).astype(np.float32)
    asked, told, seen = request(one=vectors, two=-vectors), [], []

    def progress(done: int, total: int) -> bool:
        seen.append((done, total))
        return True

    for _ in range(2):
        tsne.lay_out(asked, (), progress, told.append)
    assert [one.lane for one in told] == ["one", "two"] * 2
    assert {(0, 0), (1, 2)} <= set(seen)
    np.testing.assert_array_equal(told[0].positions, told[2].positions)
    np.testing.assert_array_equal(told[1].positions, told[3].positions)
    assert np.isfinite(told[0].positions).all() and told[0].positions.std() > 1


def test_that_a_wish_that_is_called_off_ends_the_process_and_one_that_dies_says_of_what(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    told: list[LaidOut] = []
    begun = []
    really = asking.started
    monkeypatch.setattr(asking, "started", lambda *given: begun.append(really(*given)) or begun[-1])
    asked = request(one=np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32))
    with pytest.raises(InputError, match="called off"):
        tsne.lay_out(asked, (), lambda _done, _total: len(begun) == 0, told.append)
    assert begun[0].poll() is not None and not told
    (tmp_path / "broken.py").write_text("raise ValueError('no such thing')\n")
    with pytest.raises(RuntimeError, match="no such thing"):
        tsne.lay_out(asked, (tmp_path / "broken.py",), lambda _done, _total: True, told.append)
