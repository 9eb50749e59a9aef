"""What the program frees is kept for what it asks for next: pages that went back would be cleared and mapped anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import resource
import numpy as np
import typer
from hnm_core.cli import console

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        held = [np.ones(size, np.uint8) for size in (1 << 18, 3 << 20, *[9 << 20] * 5)]  # as a step of training does
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

app = typer.Typer()

@app.command()
def measure():
    faults(3)
    print(faults(10))

console.main(app, "lab")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there it can be asked for")
def test_that_arrays_asked_for_again_and_again_lie_where_those_before_lay() -> None:
    told = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True).stdout
    assert int(told) < 50
