"""Conformance tests for plug-ins: each function puts an implementation through what its protocol promises.

They need no test framework: a broken promise raises `AssertionError` with a sentence that says which one, and on which
data. A check takes a few seconds.

    from functools import partial
    from hnm_core import miners, neighbors
    from hnm_core.testing import check_dataset_miner, check_neighbors

    check_neighbors(partial(neighbors.create, "my-search"), approximate=True)
    check_dataset_miner(partial(miners.create, "my-miner", pool=5))
"""

from hnm_core.testing.batch_miners import check_batch_miner
from hnm_core.testing.dataset_miners import check_dataset_miner
from hnm_core.testing.losses import check_loss
from hnm_core.testing.neighbors import check_neighbors

__all__ = ["check_batch_miner", "check_dataset_miner", "check_loss", "check_neighbors"]
