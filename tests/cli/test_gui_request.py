"""`hnm-lab gui`: what the window is asked to open with. The window itself is tested elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app import main
from app.main import GuiRequest
from hnm_core.spec import config
from hnm_core.spec.request import preset_of
from hnm_core.spec.resources import preset_path
from tests.cli.conftest import Lab


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[GuiRequest]:
    """The requests that reach the window."""
    requests: list[GuiRequest] = []

    def run_gui(request: GuiRequest) -> int:
        requests.append(request)
        return 0

    monkeypatch.setattr(main, "run_gui", run_gui)
    return requests


@pytest.mark.parametrize("arguments", [[], ["gui"]])
def test_that_the_window_opens_on_the_first_preset(lab: Lab, asked: list[GuiRequest], arguments: list[str]) -> None:
    assert lab(*arguments).status == 0
    assert asked == [GuiRequest(config.load(preset_path("near-classes")))]


def test_that_every_option_reaches_the_window(lab: Lab, asked: list[GuiRequest], tiny: Path, tmp_path: Path) -> None:
    ended = lab(
        "gui", tiny, "--data", "digits", "--miner", "lsh", "--set", "lanes.lsh.warmup=5", "--steps", "77",
        "--seed", "4", "--device", "cpu", "--size", "1280x720", "--autoplay", "--quit-after", "2.5",
        "--stats", tmp_path / "s.json",
    )  # fmt: skip
    assert ended.status == 0
    (request,) = asked
    assert (request.size, request.autoplay, request.quit_after, request.stats, request.recording) == (
        (1280, 720), True, 2.5, tmp_path / "s.json", None,
    )  # fmt: skip
    experiment = request.config
    assert (experiment.data.name, experiment.steps, experiment.seed) == ("digits", 77, 4)
    assert experiment.device == "cpu"
    assert [(lane.name, lane.miner, lane.warmup) for lane in request.config.lanes] == [("lsh", "lsh", 5)]


def test_that_a_preset_reaches_the_window(lab: Lab, asked: list[GuiRequest]) -> None:
    assert lab("gui", "--preset", "digits").status == 0
    assert preset_of(asked[0].config) == "digits"


def test_that_embeddings_get_a_network_that_keeps_their_dimensions_unless_one_is_asked_for(
    lab: Lab, asked: list[GuiRequest], tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(40, 48)), y=np.arange(40) % 4)
    for more in ([], ["--preset", "audit"], ["--set", "model.options.embedding=5"]):
        assert lab("gui", "--data", path, *more).status == 0
    models = [(request.config.model.name, request.config.model.options.get("embedding")) for request in asked]
    assert models == [("head", 48), ("identity", None), ("mlp", 5)]
    assert asked[0].config.about.startswith("40 x 48, 4 classes. They look like embeddings")
    assert (asked[0].config.title, asked[1].config.about) == ("mine.npz", "40 x 48, 4 classes.")


def test_that_a_recording_is_played(lab: Lab, asked: list[GuiRequest], tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    assert lab("gui", tmp_path / "run").status == 0
    assert asked == [GuiRequest(config.load(tiny), recording=tmp_path / "run")]


def test_that_the_windows_exit_status_is_the_commands(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "run_gui", lambda request: 1)
    assert lab("gui").status == 1


def test_that_a_file_that_cannot_be_trained_on_opens_no_window(
    lab: Lab, asked: list[GuiRequest], tmp_path: Path
) -> None:
    ended = lab("gui", "--data", tmp_path / "none.npz")
    assert (ended.status, asked) == (2, [])
    assert f"There is no file '{tmp_path / 'none.npz'}'" in ended.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_that_a_gpu_that_is_not_there_opens_no_window(lab: Lab, asked: list[GuiRequest]) -> None:
    ended = lab("gui", "--device", "cuda")
    assert (ended.status, asked) == (2, [])
    assert "The device 'cuda' cannot be used" in ended.err
