"""A whole run as an iterator of events: the public face of `hnm_core.training.experiment`."""

from hnm_core.training.experiment import Experiment, versions

__all__ = ["Experiment", "versions"]
