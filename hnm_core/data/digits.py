"""scikit-learn's handwritten digits: small, real, and on every machine that runs this program."""

from __future__ import annotations

import numpy as np

from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.options import DigitsOptions

MAX_PIXEL = 16


def build(options: DigitsOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """1,797 digits: x (N, 64) in 0..1, images (N, 8, 8) in 0..255. The seed changes nothing."""
    from sklearn.datasets import load_digits

    report(progress, 0, 1, "digits")
    source = load_digits()
    pixels = np.asarray(source.images)
    report(progress, 1, 1, "digits")
    return Dataset(
        "digits",
        x=(pixels.reshape(len(pixels), -1) / MAX_PIXEL).astype(np.float32),
        y=np.asarray(source.target, np.int64),
        ids=np.arange(len(pixels)),
        class_names=tuple(str(digit) for digit in range(10)),
        image_shape=(1, *pixels.shape[1:]),
        images=np.rint(pixels * (255 / MAX_PIXEL)).astype(np.uint8),
    )
