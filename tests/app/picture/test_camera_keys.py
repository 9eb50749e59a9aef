"""Key frames of a camera that are kept with a recording."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.picture import camera_keys
from app.picture.camera import Camera
from app.picture.camera_keys import FILE, MOST_KEYS, KeyFrame, key_frame, read_keys, take_key, write_keys
from hnm_core.errors import InputError

SEEN = Camera((1.0, 2.0, 3.0), 8.0, 350.0, 10.0, 35.0, (0.0, 2.0, 1.0), 2.0)


def test_that_a_key_frame_gives_the_camera_back_also_of_a_cloud_that_has_grown() -> None:
    key = key_frame(SEEN, 40)
    assert key.seen_from(SEEN) == SEEN
    grown = replace(SEEN, center=(10.0, 0.0, 0.0), radius=6.0)
    seen = key.seen_from(grown)
    assert (seen.distance, seen.azimuth, seen.elevation) == (24.0, 350.0, 10.0)
    assert seen.target == (13.0, 0.0, 6.0) and seen.radius == 6.0


def test_that_keys_are_kept_by_step_the_newest_of_a_step(tmp_path: Path) -> None:
    assert read_keys(tmp_path) == []
    take_key(tmp_path, SEEN, 40)
    take_key(tmp_path, replace(SEEN, azimuth=10.0), 20)
    taken = take_key(tmp_path, replace(SEEN, azimuth=90.0), 40)
    assert [(key.step, key.azimuth) for key in taken] == [(20, 10.0), (40, 90.0)] and taken == read_keys(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    write_keys(tmp_path, [])
    assert read_keys(tmp_path) == []
    with pytest.raises(InputError, match=f"at most {MOST_KEYS}"):
        write_keys(tmp_path, [replace(key_frame(SEEN, 0), step=step) for step in range(MOST_KEYS + 1)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: "no json", "no JSON"),
        (lambda told: [1], "no keys of format 1"),
        (lambda told: told | {"format": 2}, "newer version"),
        (lambda told: told | {"keys": told["keys"] * (MOST_KEYS + 1)}, "at most 200"),
        (lambda told: told | {"keys": [{"step": 1}]}, "key 1 must hold step, azimuth"),
        (lambda told: told | {"keys": [told["keys"][0] | {"distance": 0.0}]}, "distance of key 1 must lie in 0.001"),
        (lambda told: told | {"keys": [told["keys"][0] | {"up": float("nan")}]}, "up of key 1"),
        (lambda told: told | {"keys": [told["keys"][0] | {"step": True}]}, "step of key 1"),
    ],
)
def test_that_a_damaged_file_is_told_in_a_sentence(tmp_path: Path, change, words: str) -> None:
    write_keys(tmp_path, [KeyFrame(10, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0)])
    told = change(json.loads((tmp_path / FILE).read_text()))
    (tmp_path / FILE).write_text(told if isinstance(told, str) else json.dumps(told))
    with pytest.raises(InputError, match=words) as caught:
        read_keys(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)


def test_that_a_full_disk_leaves_the_keys_that_were_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_key(tmp_path, SEEN, 40)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(camera_keys.Path, "write_text", full)
    with pytest.raises(InputError, match="No space left on device"):
        take_key(tmp_path, SEEN, 50)
    assert [key.step for key in read_keys(tmp_path)] == [40]
