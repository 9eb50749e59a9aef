"""Requests to a running experiment: the public face of `hnm_core.run.control`."""

from hnm_core.run.control import ChangeRequest, Control, ForkRequest

__all__ = ["ChangeRequest", "Control", "ForkRequest"]
