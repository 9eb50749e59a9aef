"""Names to implementations: miners, losses, data sets, samplers, models, neighbour searches.

An entry is registered where its options are declared, in a module that loads no torch, so that forms, TOML files and
the command line can list and validate everything at once; the implementation behind `target` is imported on first use.

A plug-in is an installed package whose entry point in the group `hnm_core.plugins` names a module; importing that
module runs its decorators:

    @MINERS.register("my-miner", target="my_package.mining:MyMiner", scope="dataset")
    class MyOptions(Options):
        "Help shown in lists and forms."
        pool: int = Field(3, ge=1, le=64, description="nearest negatives to draw from")
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from hnm_core.errors import InputError, unknown_name
from hnm_core.spec.explaining import explain
from hnm_core.spec.fields import Section


class Options(Section):
    """Base of every options model: unknown fields are refused, values are frozen.

    A field's `description` is its help text; its unit, if any, is `json_schema_extra={"unit": "..."}`.
    """


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    name: str
    options: type[Options]
    target: str
    """`module:attribute` of the factory."""
    scope: str
    """For miners `dataset` or `batch`; empty elsewhere."""

    @property
    def help(self) -> str:
        """First line of the options' docstring."""
        return (self.options.__doc__ or "").strip().split("\n")[0]

    def load(self) -> Callable[..., Any]:
        """Import the factory."""
        module, _, attribute = self.target.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return factory


OptionsClass = TypeVar("OptionsClass", bound=type[Options])


class Registry:
    """The entries of one kind, built-ins first, then plug-ins, loaded on first look."""

    def __init__(self, kind: str, *builtins: str) -> None:
        self.kind = kind
        self._builtins = builtins
        self._entries: dict[str, Entry] = {}
        self._loaded = False

    def register(self, name: str, *, target: str, scope: str = "") -> Callable[[OptionsClass], OptionsClass]:
        """Class decorator: the decorated `Options` describe `name`, `target` (`module:attribute`) builds it.

        Raises:
            ValueError: the name is taken by another target.
        """

        def decorate(options: OptionsClass) -> OptionsClass:
            known = self._entries.get(name)
            if known is not None and known.target != target:
                raise ValueError(f"{self.kind} '{name}' is already registered by {known.target}")
            self._entries[name] = Entry(name, options, target, scope)
            return options

        return decorate

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # first, because a plug-in may look the registry up while it registers
        for module in self._builtins:
            importlib.import_module(module)
        load_plugins()

    def names(self) -> list[str]:
        """Every registered name, in order of registration."""
        self._load()
        return list(self._entries)

    def entry(self, name: str) -> Entry:
        """The entry called `name`. Raises `InputError` with the nearest names when there is none."""
        self._load()
        if not isinstance(name, str) or name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def validate(self, name: str, options: Mapping[str, Any]) -> Options:
        """The checked options of `name`, defaults filled in.

        Raises:
            InputError: unknown name, unknown option, wrong type, or out of range; the message says what is allowed.
        """
        entry = self.entry(name)
        try:
            return entry.options.model_validate(dict(options))
        except ValidationError as error:
            raise InputError(explain(error, f"{self.kind} '{name}'", entry.options)) from None


_plugins_loaded = False


def load_plugins() -> None:
    """Import the modules of the entry-point group `hnm_core.plugins`, once. A broken plug-in raises `InputError`."""
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    for point in importlib.metadata.entry_points(group="hnm_core.plugins"):
        try:
            point.load()
        except Exception as error:
            package = f" '{point.dist.name}'" if point.dist is not None else ""
            raise InputError(
                f"The plug-in '{point.name}' ({point.value}) cannot be loaded: {error}. "
                f"Mend its package{package}, or uninstall it."
            ) from error


MINERS = Registry(
    "miner", "hnm_core.miners.whole_set.options", "hnm_core.miners.in_batch.options", "hnm_core.miners.pml_options"
)
LOSSES = Registry("loss", "hnm_core.losses.options", "hnm_core.losses.pml_options")
DATASETS = Registry("data set", "hnm_core.data.options")
MODELS = Registry("model", "hnm_core.models.options")
NEIGHBORS = Registry("neighbour search", "hnm_core.neighbors.options")
SAMPLERS = Registry("sampler", "hnm_core.data.sampler_options")
