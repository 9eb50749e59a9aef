"""Requests to a running experiment: the public face of `hnm_core.run.control`."""

from hnm_core.run.control import ChangeRequest, Control, Embedded, EmbedRequest, ForkRequest

__all__ = ["ChangeRequest", "Control", "EmbedRequest", "Embedded", "ForkRequest"]
