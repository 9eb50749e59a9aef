"""Names to implementations, for plug-ins: the public face of `hnm_core.spec.registry`."""

from hnm_core.spec.registry import (
    DATASETS,
    LOSSES,
    MINERS,
    MODELS,
    NEIGHBORS,
    SAMPLERS,
    Entry,
    Options,
    OptionsClass,
    Registry,
    load_plugins,
)

__all__ = [
    "DATASETS",
    "LOSSES",
    "MINERS",
    "MODELS",
    "NEIGHBORS",
    "SAMPLERS",
    "Entry",
    "Options",
    "OptionsClass",
    "Registry",
    "load_plugins",
]
