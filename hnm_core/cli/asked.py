"""The experiment that the options of a command ask for."""

from __future__ import annotations

from hnm_core.cli.console import say
from hnm_core.spec import compatibility
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request, names_network, resolve
from hnm_core.spec.resources import FIRST_PRESET


def experiment_of(request: Request) -> ExperimentConfig:
    """That of a configuration file or a preset; data alone go into that of the first preset, as in the window: those of
    a file with a network that suits them, unless one is asked for.

    Raises:
        InputError: neither of the three is given, or what is cannot be read or trained on.
    """
    if request.data is None or request.config is not None or request.preset is not None:
        return resolve(request, default_preset=None)
    experiment = resolve(request)
    say(f"Losses, batches and steps are those of --preset {FIRST_PRESET}.")
    if experiment.data.name != "file" or names_network(request):
        return experiment
    from hnm_core.data import own

    read = own.read(experiment, experiment.data)
    compatibility.refuse(list(read.findings))
    if read.config.model != experiment.model:
        say(
            f"Your rows look like embeddings, so they go into '{read.config.model.name}', a network to "
            f"{read.config.model.part.options.dimension} dimensions, not into the preset's '{experiment.model.name}'. "
            "--set model.name=NAME takes another; --preset audit looks at them as they are."
        )
    return read.config
