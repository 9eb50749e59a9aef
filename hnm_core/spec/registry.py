"""Names to implementations: miners, losses, data sets, samplers, models, neighbour searches.

An entry is registered where its options are declared, in a module that loads no torch, so that forms, TOML files and
the command line can list and validate everything at once; the implementation behind `target` is imported on first use.

A plug-in is an installed package whose entry point in the group `hnm_core.plugins` names a module; importing that
module runs its decorators:

    @MINERS.register("my-miner", target="my_package.mining:MyMiner", scope="dataset")
    class MyOptions(MinerOptions):
        "Help shown in lists and forms."
        pool: int = Field(3, ge=1, le=64, description="nearest negatives to draw from")

What such options can say of their part beside help and bounds is in `hnm_core.spec.traits`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import ConfigDict, ValidationError, create_model

from hnm_core.errors import InputError, unknown_name
from hnm_core.spec.explaining import explain
from hnm_core.spec.traits import DataOptions as DataOptions  # what a plug-in needs beside the registries
from hnm_core.spec.traits import LossOptions as LossOptions
from hnm_core.spec.traits import MinerOptions as MinerOptions
from hnm_core.spec.traits import ModelOptions as ModelOptions
from hnm_core.spec.traits import Options as Options
from hnm_core.spec.traits import SamplerOptions as SamplerOptions
from hnm_core.spec.traits import SearchOptions as SearchOptions

KindT = TypeVar("KindT", bound=Options)
"""Base of the options of one kind of part."""


@dataclass(frozen=True)
class Entry(Generic[KindT]):
    """One registered name."""

    name: str
    options: type[KindT]
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


class AnyOptions(Options):
    """Comes from a plug-in that is not here; it can be shown but not used."""

    model_config = ConfigDict(extra="allow")


OVER_DOCUMENTS = " (queries and documents)"
"""Ends the names that a run over queries and documents has for parts that no run over classes has."""


def is_over_documents(data: str) -> bool:
    """Whether a run whose data are called so is one over queries and documents."""
    return data.endswith(OVER_DOCUMENTS)


@dataclass(frozen=True)
class AbsentEntry(Entry[KindT]):
    """Stands for a part that is not here: of a plug-in, or of a run over queries and documents."""

    kind: str

    @property
    def refusal(self) -> str:
        """Why it cannot be used, and what to do."""
        if self.name.endswith(OVER_DOCUMENTS):
            return (
                f"The {self.kind} '{self.name}' is of a run over queries and documents, which `hnm-lab run` trains: "
                f"its recording can be played, and a run over classes needs another {self.kind}."
            )
        return (
            f"The {self.kind} '{self.name}' comes from a plug-in that is not here. Give its file with "
            f"--plugin FILE.py, install its package, or choose another {self.kind}."
        )

    def load(self) -> Callable[..., Any]:
        """Raises `InputError`."""
        raise InputError(self.refusal)


@dataclass(frozen=True)
class Part(Generic[KindT]):
    """A registered name with its checked options: what a factory makes a miner, a loss, ... of."""

    entry: Entry[KindT]
    options: KindT


OptionsClass = TypeVar("OptionsClass", bound=type[Options])


class Registry(Generic[KindT]):
    """The entries of one kind, built-ins first, then plug-ins, loaded on first look."""

    def __init__(self, kind: str, *builtins: str, options: type[Options] = Options) -> None:
        """`options` is what all options of this kind derive from, or are made to."""
        self.kind = kind
        self._builtins = builtins
        self._base = options
        self._entries: dict[str, Entry[KindT]] = {}
        self._absent: dict[str, Entry[KindT]] = {}
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
            made = self._of_kind(options)
            self._entries[name] = Entry(name, made, target, scope)
            return cast(OptionsClass, made)  # the name in its module stands for what is registered, as pickles need

        return decorate

    def _of_kind(self, options: type[Options]) -> type[KindT]:
        """`options` with the traits of their kind: those of a plug-in that declares none are what traits are by
        default."""
        if not issubclass(options, self._base):
            both = (options, self._base)
            options = create_model(
                options.__name__, __base__=both, __doc__=options.__doc__, __module__=options.__module__
            )
        return cast(type[KindT], options)

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

    def entry(self, name: str) -> Entry[KindT]:
        """The entry called `name`. Raises `InputError` with the nearest names when there is none."""
        self._load()
        known = self._entries.get(name) or self._absent.get(name) if isinstance(name, str) else None
        if known is None:
            raise unknown_name(self.kind, name, self._entries)
        return known

    def allow_absent(self, name: str) -> None:
        """Have `entry` know a name that nothing is registered under: with any options, and a factory that is refused
        as soon as it is loaded. Lists do not show it, and a plug-in that registers the name takes its place."""
        self._load()
        if name not in self._entries and name not in self._absent:
            options = create_model("AbsentOptions", __base__=(self._base, AnyOptions), __doc__=AnyOptions.__doc__)
            self._absent[name] = AbsentEntry(name, cast(type[KindT], options), "", "", self.kind)

    def part(self, name: str, options: Mapping[str, Any]) -> Part[KindT]:
        """`name` with checked options. Raises `InputError` as `validate`."""
        return Part(self.entry(name), self.validate(name, options))

    def validate(self, name: str, options: Mapping[str, Any]) -> KindT:
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


MINERS = Registry[MinerOptions](
    "miner",
    *("hnm_core.miners.whole_set.options", "hnm_core.miners.in_batch.options", "hnm_core.miners.pml_options"),
    options=MinerOptions,
)
LOSSES = Registry[LossOptions]("loss", "hnm_core.losses.options", "hnm_core.losses.pml_options", options=LossOptions)
DATASETS = Registry[DataOptions]("data set", "hnm_core.data.options", options=DataOptions)
MODELS = Registry[ModelOptions]("model", "hnm_core.models.options", options=ModelOptions)
NEIGHBORS = Registry[SearchOptions]("neighbour search", "hnm_core.neighbors.options", options=SearchOptions)
SAMPLERS = Registry[SamplerOptions]("sampler", "hnm_core.data.sampler_options", options=SamplerOptions)
