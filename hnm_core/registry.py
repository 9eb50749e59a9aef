"""Names to implementations, for plug-ins: the public face of `hnm_core.spec.registry`."""

from hnm_core.spec.registry import (
    DATASETS,
    LOSSES,
    MINERS,
    MODELS,
    NEIGHBORS,
    SAMPLERS,
    Entry,
    LossOptions,
    MinerOptions,
    ModelOptions,
    Options,
    OptionsClass,
    Part,
    Registry,
    SamplerOptions,
    load_plugins,
)
from hnm_core.spec.traits import Remark

__all__ = [
    "DATASETS",
    "LOSSES",
    "MINERS",
    "MODELS",
    "NEIGHBORS",
    "SAMPLERS",
    "Entry",
    "LossOptions",
    "MinerOptions",
    "ModelOptions",
    "Options",
    "OptionsClass",
    "Part",
    "Registry",
    "Remark",
    "SamplerOptions",
    "load_plugins",
]
