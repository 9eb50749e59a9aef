"""From the command line's options to a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.spec import config
from hnm_core.spec.request import Request, resolve
from hnm_core.spec.resources import preset_path


def test_that_the_first_preset_is_taken_when_nothing_is_asked_for() -> None:
    assert resolve(Request()) == config.load(preset_path("near-classes"))


def test_that_without_a_default_neither_a_file_nor_a_preset_is_an_error() -> None:
    with pytest.raises(InputError, match="--preset NAME"):
        resolve(Request(seed=3), default_preset=None)


def test_that_a_file_and_a_preset_together_are_an_error(tiny: Path) -> None:
    with pytest.raises(InputError, match="not both"):
        resolve(Request(config=tiny, preset="digits"))


def test_that_miners_replace_the_lanes_by_copies_of_the_first(tiny: Path) -> None:
    asked = resolve(Request(config=tiny, miners=("knn", "lsh", "knn"), settings=("lanes.knn-2.hard_share=0.25",)))
    first = config.load(tiny).lanes[0]
    assert [lane.name for lane in asked.lanes] == ["knn", "lsh", "knn-2"]
    assert [lane.miner for lane in asked.lanes] == ["knn", "lsh", "knn"]
    assert [lane.hard_share for lane in asked.lanes] == [first.hard_share, first.hard_share, 0.25]
    assert all(lane.miner_options == {} and lane.loss == first.loss for lane in asked.lanes)


def test_that_the_options_of_the_first_lanes_miner_do_not_reach_the_copies(tmp_path: Path, tiny: Path) -> None:
    path = tmp_path / "reversed.toml"
    loaded = config.load(tiny)
    path.write_text(config.dump(loaded.model_copy(update={"lanes": loaded.lanes[::-1]})))
    asked = resolve(Request(config=path, miners=("random",)))
    assert asked.lanes[0].miner_options == {}


def test_that_a_data_name_clears_the_old_options(tiny: Path) -> None:
    asked = resolve(Request(config=tiny, data="digits", settings=("data.held_out=0.5",)))
    assert (asked.data.name, asked.data.options, asked.data.held_out) == ("digits", {}, 0.5)


@pytest.mark.parametrize("name", ["mine.npz", "MINE.CSV", "./folder/mine.csv"])
def test_that_a_data_file_becomes_the_set_called_file(tiny: Path, name: str) -> None:
    asked = resolve(Request(config=tiny, data=name))
    assert (asked.data.name, asked.data.options) == ("file", {"path": name})


def test_that_the_words_of_a_preset_are_not_told_of_other_data() -> None:
    preset = resolve(Request(preset="digits"))
    asked = resolve(Request(preset="digits", data="my/features.csv"))
    assert (asked.title, asked.about) == ("features.csv", "")
    assert resolve(Request(preset="digits", data="rings")).title == "rings"
    assert resolve(Request(preset="digits", data="digits")) == preset and preset.about


def test_that_a_name_close_to_a_data_set_brings_it_up(tiny: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown data set 'digit'. Did you mean digits\?.*\.npz"):
        resolve(Request(config=tiny, data="digit"))


def test_that_seed_steps_and_device_are_taken_over(tiny: Path) -> None:
    asked = resolve(Request(config=tiny, seed=5, steps=11, device="cpu"))
    assert (asked.seed, asked.steps, asked.device) == (5, 11, "cpu")


def test_that_a_setting_wins_over_an_option(tiny: Path) -> None:
    assert resolve(Request(config=tiny, steps=11, settings=("steps=12",))).steps == 12


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(steps=0), "steps = 0"),
        (Request(seed=-1), "seed = -1"),
        (Request(device="gpu"), "device = 'gpu'"),
        (Request(miners=("knm",)), "Did you mean knn"),
        (Request(preset="near-clases"), "Did you mean near-classes"),
        (Request(settings=("optimizer.lr",)), "KEY=VALUE"),
        (Request(settings=("optimizer.lr=fast",)), "optimizer.lr = 'fast'"),
        (Request(settings=("lanes.knn.miner_options.pool=0",)), "pool = 0"),
        (Request(settings=("lanes.nobody.hard_share=0",)), "Unknown lane 'nobody'"),
        (Request(settings=("optimiser.lr=1",)), "Did you mean optimizer"),
    ],
)
def test_that_a_wrong_value_is_named(request_: Request, words: str) -> None:
    with pytest.raises(InputError) as error:
        resolve(request_)
    assert words in str(error.value)
