"""`hnm-lab doctor`: it never fails, and it says why something does not work."""

from __future__ import annotations

import builtins
import importlib.metadata
from typing import Any

import pytest
import torch

from hnm_core.cli import doctor
from tests.cli.conftest import Lab


def findings(out: str) -> dict[str, tuple[str, str]]:
    return {name: (works, words) for name, works, words in (line.split("\t") for line in out.splitlines())}


def test_that_every_line_says_what_works_and_in_words_what_was_found(lab: Lab) -> None:
    ended = lab("doctor")
    found = findings(ended.out)
    assert ended.status == 0
    assert {works for works, _ in found.values()} <= {"yes", "no"}
    assert all(words for _, words in found.values())
    assert found["torch"][1].startswith(torch.__version__)
    assert found["gpu"][0] == ("yes" if torch.cuda.is_available() else "no")
    assert found["display"][0] == "no"
    assert found["faiss-cpu"] == (
        "yes",
        f"{importlib.metadata.version('faiss-cpu')}: its indexes beside our searches",
    )
    assert found["libx264"][0] == "yes"
    assert {"cupy", "recordings", "fashion-mnist", "search kernels", "raster kernels", "window"} <= set(found)


def test_that_a_broken_part_is_a_line_and_not_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_qt(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("PyQt6"):
            raise ImportError("libEGL.so.1: cannot open shared object file")
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_qt)
    ended = lab("doctor")
    works, words = findings(ended.out)["window"]
    assert (ended.status, works) == (0, "no")
    assert "libEGL.so.1" in words


def test_that_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"no-such-package": ("magic", "magic")})
    check = list(doctor.examine())[-1]
    assert (check.name, check.works) == ("no-such-package", False)
    assert "pip install 'hnm-lab[magic]'" in check.words
