"""Chooses options on a validation part of the training data, by optuna (the extra `tune`)."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from hnm_core.errors import InputError, shortened
from hnm_core.spec.config import ExperimentConfig, parse_value, with_settings
from hnm_core.studies.folder import alone_at, claim_folder

if TYPE_CHECKING:
    import optuna

    from hnm_core.training.retrieval_config import RetrievalConfig

ConfigT = TypeVar("ConfigT", "ExperimentConfig", "RetrievalConfig")

LOCK = "tune.lock"
"""There for as long as a program tries settings in a folder."""

LOG_RATIO = 50
"""A range of floats whose ends differ by this factor or more is searched on a logarithmic scale."""

VALIDATION = 0.25
"""Share of the training part that is measured when the configuration names none."""

Value = float | int | str | bool
Metric = Literal["map_at_r", "precision_at_1", "knn_accuracy"]


@dataclass(frozen=True)
class SearchedOption:
    """A field of the configuration, or several that are set alike, and what it may be: a range of numbers, or one of
    several values."""

    key: str
    """its path; of several fields with commas between them"""
    low: float = 0
    high: float = 0
    whole: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths that the key names."""
        return fields_of(self.key)

    @property
    def logarithmic(self) -> bool:
        """Whether the range is searched by factors rather than by differences."""
        return not self.choices and self.low > 0 and self.high / self.low >= LOG_RATIO

    def suggest(self, trial: optuna.Trial) -> Value:
        """The value of this trial."""
        if self.choices:
            return cast(Value, trial.suggest_categorical(self.key, self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.logarithmic)
        return trial.suggest_float(self.key, self.low, self.high, log=self.logarithmic)


@dataclass(frozen=True)
class Tried:
    """One trial: the options' values and the score on the validation part."""

    values: dict[str, Value]
    score: float


def fields_of(key: str) -> tuple[str, ...]:
    """The paths in a key; neither a field nor a lane's name holds a comma."""
    return tuple(path.strip() for path in key.split(","))


def parse_option(text: str) -> SearchedOption:
    """`KEY=LOW..HIGH` or `KEY=A,B,C`, e.g. `lanes.knn.loss_options.margin=0.05..0.5`. `KEY,KEY=...` sets several fields
    alike, such as a miner's margin and that of its loss.

    Raises:
        InputError: neither form, or LOW is not below HIGH.
    """
    key, separator, what = (part.strip() for part in text.partition("="))
    how = f"'{shortened(text)}' is no option to search; write KEY=LOW..HIGH or KEY=A,B,C, e.g. optimizer.lr=1e-4..1e-2."
    if not separator or not key or not what:
        raise InputError(how)
    ends = re.fullmatch(r"(.+?)\.\.(.+)", what)
    if ends is None:
        choices = tuple(parse_value(part.strip()) for part in what.split(","))
        if len(choices) < 2 or any(not isinstance(choice, float | int | str | bool) for choice in choices):
            raise InputError(how)
        return SearchedOption(key, choices=choices)
    low, high = (parse_value(end.strip()) for end in ends.groups())
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in (low, high)):
        raise InputError(how)
    if not low < high:
        raise InputError(f"'{text}': the lower end of a range must be below the upper end.")
    return SearchedOption(key, low, high, whole=isinstance(low, int) and isinstance(high, int))


def refuse_twice(config: ExperimentConfig | RetrievalConfig, options: Sequence[SearchedOption]) -> None:
    """Raises `InputError` where two options are one field, by a lane's name or its place."""
    keys: set[str] = set()
    for field in itertools.chain.from_iterable(option.fields for option in options):
        key = field
        for place, name in enumerate(lane.name for lane in config.lanes):
            if key.startswith(f"lanes.{place}."):
                key = f"lanes.{name}.{key.split('.', 2)[2]}"
        if key in keys:
            raise InputError(f"--option {field} is given twice; give all its values, or one range, at once.")
        keys.add(key)


def lane_of(config: ExperimentConfig | RetrievalConfig, options: Sequence[SearchedOption], lane: str | None) -> str:
    """The one lane that is trained: the one named, else the one that the options belong to, else the first.

    Raises:
        InputError: no such lane, or options of several lanes.
    """
    owners = {
        owner
        for field in itertools.chain.from_iterable(option.fields for option in options)
        for place, owner in enumerate(lane.name for lane in config.lanes)
        if field.startswith((f"lanes.{owner}.", f"lanes.{place}."))
    }
    if lane is not None:
        others = owners - {config.lane(lane).name}
        if others:
            raise InputError(f"--lane {lane} trains that lane alone, but an option belongs to lane '{others.pop()}'.")
        return lane
    if len(owners) > 1:
        raise InputError(
            f"The options belong to several lanes: {', '.join(sorted(owners))}. Search one lane at a time."
        )
    return owners.pop() if owners else config.lanes[0].name


def with_values(config: ConfigT, values: dict[str, Value]) -> ConfigT:
    """The configuration with the searched options set. Raises `InputError` where one is not allowed."""
    settings = [f"{field}={json.dumps(values[key])}" for key in values for field in fields_of(key)]
    if isinstance(config, ExperimentConfig):
        return with_settings(config, settings)
    from hnm_core.training.retrieval_config import with_settings as with_settings_of_retrieval

    return with_settings_of_retrieval(config, settings)


def only_lane(config: ConfigT, lane: str) -> ConfigT:
    """The configuration with one of its lanes alone."""
    return config.model_copy(update={"lanes": (config.lane(lane),)})


def validated(config: ConfigT) -> ConfigT:
    """The configuration with a validation part, if it has none."""
    if isinstance(config, ExperimentConfig):
        share = config.data.validation or VALIDATION
        return config.model_copy(update={"data": config.data.model_copy(update={"validation": share})})
    return config.model_copy(update={"validation": config.validation or VALIDATION})


def search(
    config: ConfigT,
    options: Sequence[SearchedOption],
    lane: str,
    trials: int,
    folder: Path,
    score: Callable[[ConfigT], float],
    finished: Callable[[int, Tried], None],
    say: Callable[[str], object],
    seeds: int = 1,
) -> list[Tried]:
    """Try `trials` settings in all, those of an earlier call on the same `folder` included; oldest first. Where every
    option is one of several values, each combination is tried once, and then it ends.

    Args:
        config: whole; of its lanes only `lane` is trained, with a validation part.
        score: trains a configuration and gives its score on the validation part; larger is better, NaN is a failure.
        finished: called after each trial with its number from 1.
        say: is told where another version of the program has begun the search.
        seeds: a setting's score is its mean over so many, from that of `config` on; NaN with any is one.

    Raises:
        InputError: optuna is missing, the folder holds another search, or one of other data, or another program
            tries settings in it just now, or an option does not fit the configuration.
    """
    try:
        import optuna
    except ImportError:
        raise InputError('Searching for options needs optuna: pip install "hnm-lab[tune]".') from None
    for option in options:  # both ends must be allowed before hours are spent
        for value in option.choices or (_end(option, option.low), _end(option, option.high)):
            with_values(config, {option.key: value})
    asked = {"config": config.to_dict(), "options": [str(option) for option in options], "seeds": seeds}
    claim_folder(folder, json.dumps(asked, indent=1), config, say)
    with alone_at(folder / LOCK) as ours:
        if not ours:  # what is tried next depends on all that was tried before
            raise InputError(f"Another program tunes in '{folder}' just now. Name a new folder with --out.")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = _study(folder / "trials.db")

        def run(trial: optuna.Trial) -> float:
            values = {option.key: option.suggest(trial) for option in options}
            setting = only_lane(validated(with_values(config, values)), lane)
            scores = [score(setting.model_copy(update={"seed": config.seed + more})) for more in range(seeds)]
            found = sum(scores) / seeds
            if found != found:
                raise optuna.TrialPruned
            return found

        def tried() -> list[Tried]:
            done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            return [Tried(dict(trial.params), float(trial.value or 0.0)) for trial in done]

        combinations = [
            dict(zip([option.key for option in options], values, strict=True))
            for values in itertools.product(*(option.choices for option in options))
        ]  # none where an option is a range
        trials = min(trials, len(combinations) or trials)
        while (
            count := len([trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()])
        ) < trials:
            before = len(tried())
            # A sampler for each trial, so that a search that goes on draws what it would have drawn without the break.
            study.sampler = optuna.samplers.TPESampler(seed=(config.seed + count) % 2**32)
            if combinations:
                study.enqueue_trial(combinations[count])
            study.optimize(run, n_trials=1)
            if len(after := tried()) > before:
                finished(count + 1, after[-1])
        return tried()


def _study(path: Path) -> optuna.Study:
    """The trials in a file, which need not be there. Raises `InputError` where it holds something else."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    # Not as an address: a path may hold what means something there.
    engine = {"creator": lambda: sqlite3.connect(path)}
    try:
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=engine)
        return optuna.create_study(storage=storage, study_name="options", direction="maximize", load_if_exists=True)
    except (optuna.exceptions.OptunaError, SQLAlchemyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise InputError(
            f"'{path}' is damaged, or of another version: {reason}. Name a new folder with --out."
        ) from error


def _end(option: SearchedOption, value: float) -> Value:
    return int(value) if option.whole else float(value)
