"""Configurations: what is read back, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.spec import config
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.resources import preset_names, preset_path

LANES = {"lanes": [{"name": "a.b"}, {"name": "knn", "miner": "knn"}]}


@pytest.mark.parametrize("name", preset_names())
def test_that_what_is_dumped_is_read_back_equal(name: str, tmp_path: Path) -> None:
    first = config.load(preset_path(name))
    (tmp_path / "copy.toml").write_text(config.dump(first))
    assert config.load(tmp_path / "copy.toml") == first


def test_that_the_first_preset_comes_first_and_each_says_what_to_look_for() -> None:
    assert preset_names()[0] == "near-classes"
    for name in preset_names():
        preset = config.load(preset_path(name))
        assert preset.title
        assert preset.about.count(".") >= 2


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("optimizer.lr=1e-3", lambda c: c.optimizer.lr == 1e-3),
        ("optimizer.lr=1E-3", lambda c: c.optimizer.lr == 1e-3),
        ("lanes.knn.miner_options.pool=5", lambda c: c.lanes[1].miner_options == {"pool": 5}),
        ("lanes.1.hard_share=1", lambda c: c.lanes[1].hard_share == 1.0),
        ("lanes.a.b.warmup=7", lambda c: c.lanes[0].warmup == 7),
        ("model.options.widths=[4, 5]", lambda c: c.model.options == {"widths": [4, 5]}),
        ("title=Two words", lambda c: c.title == "Two words"),
        (" seed = 3 ", lambda c: c.seed == 3),
        ("data.name=blobs", lambda c: c.data.name == "blobs"),
        ('lanes=[{name="x"}]', lambda c: c.lanes == (LaneConfig(name="x"),)),
    ],
)
def test_that_a_setting_reaches_its_field(setting: str, read) -> None:
    assert read(config.with_settings(config.from_dict(LANES), [setting]))


def test_that_later_settings_win() -> None:
    changed = config.with_settings(ExperimentConfig(), ["steps=5", "steps=9"])
    assert changed.steps == 9


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("steps", "'steps' is no setting; write KEY=VALUE"),
        ("=3", "is no setting"),
        ("steps=0", "steps = 0 is not allowed: it must be at least 1"),
        ("steps=ten", "steps = 'ten' is not allowed: it must be a whole number."),
        ("steps=true", "steps = true is not allowed: it must be a whole number."),
        ("lanes.knn.loss_options.margin=false", "margin = false is not allowed: it must be a number."),
        ("lanes.knn.hard_share=true", "hard_share = true is not allowed: it must be a number."),
        ("model=resnet18", "'model' is a section: write model.name=resnet18."),
        ("lanes.knn.sampler=balanced", "write lanes.knn.sampler.name=balanced."),
        ("lanes.1.hard_share=2", "lanes.knn.hard_share = 2 is not allowed: it must be at most 1."),
        ("lanes.knn.distance=near", "must be 'euclidean', 'squared-euclidean', 'cosine' or 'inner-product'."),
        ("lanes.knn.normalize=perhaps", "it must be true or false."),
        ("lanes.knn.name=", "it must be 1 to 40 letters, digits, spaces"),
        ("lanes.knn=lsh", "'lanes.knn' is a lane; set one of its fields"),
        ("lanes=3", "'lanes' is a list of sections"),
        ("lanes.knn.pool=3", "Is it lanes.knn.miner_options.pool or lanes.knn.loss_options.pool?"),
        ("lanes.knn.hardshare=1", "Unknown option 'hardshare'. Did you mean hard_share?"),
        ("miner=knn", "Is it lanes.NAME.miner?"),
        ("batch=8", "Is it sampler.batch?"),
        ("lanes.knn.miner.pool=3", "Its options are written lanes.knn.miner_options.pool."),
        ("stepz=3", "Unknown option 'stepz'. Did you mean steps"),
        ("optimizer.rl=3", "Did you mean lr"),
        ("optimizer.lr=nan", "lr = nan is not allowed"),
        ("optimizer.options.momentum=0.9", "adam has no option 'momentum'"),
        ("lanes.kn.warmup=3", "Unknown lane 'kn'. Did you mean knn"),
        ("lanes.7.warmup=3", "Unknown lane '7'"),
        ("lanes.knn.miner=knm", "Lane 'knn': Unknown miner 'knm'. Did you mean knn"),
        ("lanes.knn.loss=triplet", "Did you mean triplet-margin"),
        ("lanes.knn.loss_options.margin=-1", "margin = -1 is not allowed"),
        ("lanes.knn.miner_options.pool=2.5", "pool = 2.5 is not allowed"),
        ("lanes.knn.miner_options=3", "write lanes.knn.miner_options.OPTION=VALUE, not"),
        ("lanes.knn.name=a.b", "two lanes are called 'a.b'"),
        ("data.name=digit", "Did you mean digits"),
        ("data.held_out=1", "held_out = 1 is not allowed: it must be below 1"),
        ("model.options.widths=[0]", "0 is not allowed"),
        ("steps.x=3", "'steps.x' is no field"),
        ("lanes=[]", "it must be a list of at least 1"),
    ],
)
def test_that_a_wrong_setting_is_refused_in_one_clear_sentence(setting: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        config.with_settings(config.from_dict(LANES), [setting])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not any(
        foreign in str(refused.value).lower()
        for foreign in ("input should", "dictionary", "valid tuple", "instance of")
    )


def test_that_a_toml_error_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("seed = 1\nsteps = = 3\n")
    with pytest.raises(InputError, match=r"broken\.toml' is not valid TOML: .*line 2"):
        config.load(path)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "There is no configuration file"), (b"\xff\xfe\x00", "cannot be read")]
)
def test_that_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        config.load(path)
    with pytest.raises(InputError, match=r"cannot be read.*a \.toml file"):
        config.load(tmp_path)


@pytest.mark.parametrize("name", ["digits", "code-search"])
def test_that_who_names_a_preset_for_a_file_is_told_the_way(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    told = f"There is no configuration file '{name}'. The preset of that name is given by --preset {name}."
    with pytest.raises(InputError) as raised:
        config.load(name)
    assert str(raised.value) == told


@pytest.mark.parametrize("name", ["mine.npz", "mine.csv"])
def test_that_data_in_place_of_a_configuration_are_told_the_way(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04\xa1" if name.endswith("npz") else b"a,b,label\n1,2,x\n")
    with pytest.raises(InputError, match=rf"Data are given by --data .*{name}"):
        config.load(path)


def test_that_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ExperimentConfig().steps = 3
