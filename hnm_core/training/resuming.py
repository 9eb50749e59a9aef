"""Goes on from the newest checkpoint of a recording: the same experiment, to its end or farther."""

from __future__ import annotations

from pathlib import Path

from hnm_core.devices import resolve
from hnm_core.errors import InputError
from hnm_core.recording.past import events_before, with_checkpoint
from hnm_core.run.events import RunFinished
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.training.experiment import Before, versions


def resume(
    folder: Path, *, steps: int | None = None, device: str | None = None, checkpoint_every: float | None = None
) -> tuple[ExperimentConfig, Before]:
    """The run that was recorded in `folder`, as `Experiment` takes it to go on.

    Its events begin with all that was recorded up to the checkpoint, so that a new recording of them is whole; the old
    one stays as it is. On the CPU the rest is what the run would have told if it had never ended, bit for bit.

    Args:
        folder: of a recording that nobody writes to.
        steps: of each lane, those before included; None keeps what the run was configured with.
        device: where to train now; None keeps it.
        checkpoint_every: seconds; None keeps it.

    Raises:
        InputError: as `with_checkpoint`, or there are no steps to be done.
    """
    recording, stored = with_checkpoint(folder)
    changed = {"steps": steps, "device": device, "checkpoint_every": checkpoint_every}
    given = {field: value for field, value in changed.items() if value is not None}
    config = from_dict({**recording.config.to_dict(), **given}, "command line")
    step = stored.checkpoint.step
    if config.steps <= step and (config.steps < step or isinstance(recording.finished, RunFinished)):
        done = f"{step:,} of {step:,} steps" if config.steps == step else f"{step:,} steps, more than {config.steps:,}"
        raise InputError(
            f"The run in '{folder}' has done {done}. Say how many it shall have in the "
            f"end, for instance --steps {2 * step}."
        )
    words = [f"Goes on from step {step:,} of '{folder.name}'."]
    if config.seconds is not None and isinstance(recording.finished, RunFinished) and not recording.finished.stopped:
        words.append(f"That it ends after {config.seconds:g} s of training holds no more: it did.")
        config = config.model_copy(update={"seconds": None})
    recording.check()  # what is damaged is left out of the past that is told again, and named
    words += [f"Damaged there: {loss}" for loss in recording.losses]
    before, now = recording.started.versions, versions(resolve(config.device))
    other = [
        f"{name} {now[name]} in place of {before[name]}" for name in now if name in before and now[name] != before[name]
    ]
    if other:
        words.append(f"Further steps may differ in their last digits: {', '.join(other)}.")
    assert stored.checkpoint.state is not None
    past = events_before(recording, stored.event)
    if stored.note:
        words.append(stored.note)
    return config, Before(step, stored.checkpoint.state, past, " ".join(words))
