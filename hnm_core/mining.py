"""Mining and alarms in a training loop of one's own: the public face of `hnm_core.training.own_loop`."""

from hnm_core.training.own_loop import Mining, MiningWarning
from hnm_core.training.pathologies import Seen, Watch

__all__ = ["Mining", "MiningWarning", "Seen", "Watch"]
