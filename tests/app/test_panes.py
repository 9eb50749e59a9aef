from __future__ import annotations

import pytest

from app.panes import wrapped


@pytest.mark.parametrize(
    ("room", "lines"),
    [
        (100, ["step 1 · loss 0.5 · MAP@R 0.8", "hard 5%"]),
        (20, ["step 1 · loss 0.5", "MAP@R 0.8", "hard 5%"]),
        (3, ["step 1", "loss 0.5", "MAP@R 0.8", "hard 5%"]),
    ],
)
def test_that_lines_break_between_figures_and_never_inside_one(room, lines):
    assert wrapped("step 1 · loss 0.5 · MAP@R 0.8\nhard 5%", room, len).splitlines() == lines
