"""A lane as a card: a method, that is, a miner and a loss with their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.panels.combo_box import ComboBox
from app.panels.editors import ChoiceEditor
from app.panels.expander import Expander
from app.panels.named_card import NamedCard
from app.panels.named_form import NamedForm
from app.panels.option_form import OptionForm
from app.panels.problems import Path
from app.panels.sampler_form import SamplerForm
from app.plain import Label
from hnm_core.spec.compatibility import idle_fields
from hnm_core.spec.config import LaneConfig
from hnm_core.spec.registry import LOSSES, MINERS

LANE_FIELDS = (
    *("distance", "normalize", "hard_share", "warmup", "warmup_below"),
    *("refresh", "refresh_every", "refresh_lag", "drift_threshold", "memory"),
)


class LaneCard(NamedCard):
    """A lane over classes."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}
        self.miner, self.loss = NamedForm("Miner", MINERS), NamedForm("Loss", LOSSES)
        self.miner.renamed.connect(self.follow)
        self.own = OptionForm(LaneConfig, LANE_FIELDS)
        self.own_sampler = QCheckBox("draws its own anchors")
        self.own_sampler.setToolTip(LaneConfig.model_fields["sampler"].description or "")
        self.own_sampler.clicked.connect(self._switch_sampler)
        self.sampler: SamplerForm | None = None  # most lanes have none, and a form takes time to make
        self.details = Expander("Options", self._details())
        layout = self.column
        for named in (self.miner, self.loss):
            line = QHBoxLayout()
            line.addWidget(named.label)
            line.addWidget(named.choice, 1)
            layout.addLayout(line)
            layout.addWidget(named.problem)
        layout.addWidget(self.findings)
        layout.addWidget(self.details)
        for part in (self.miner, self.loss, self.own):
            part.typed.connect(self.typed)
            part.committed.connect(self.committed)

    @property
    def boxes(self) -> Mapping[Literal["miner", "loss", "distance"], ComboBox]:
        """See `NamedCard`."""
        distance = self.own.editor("distance")
        assert isinstance(distance, ChoiceEditor)
        return {"miner": self.miner.box, "loss": self.loss.box, "distance": distance.box}

    def _details(self) -> QWidget:
        details = QWidget()
        layout = QVBoxLayout(details)
        layout.setSpacing(6)
        for title, part in (("Miner", self.miner.body), ("Loss", self.loss.body), ("Lane", self.own)):
            heading = Label(title)
            heading.setObjectName("heading")
            layout.addWidget(heading)
            layout.addWidget(part)
        layout.addWidget(self.own_sampler)
        self._details_layout = layout
        return details

    def _switch_sampler(self) -> None:
        self._show_sampler(shown=self.own_sampler.isChecked())
        self.typed.emit()
        self.committed.emit()

    def _show_sampler(self, *, shown: bool) -> None:
        if shown and self.sampler is None:
            self.sampler = SamplerForm()
            self.sampler.typed.connect(self.typed)
            self.sampler.committed.connect(self.committed)
            self._details_layout.addWidget(self.sampler)
        self.own_sampler.setChecked(shown)
        if self.sampler is not None:
            self.sampler.setVisible(shown)

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show a lane, as plain values."""
        self._values = dict(values)
        self.name.put(values["name"])
        self.miner.set_value(values["miner"], values["miner_options"])
        self.loss.set_value(values["loss"], values["loss_options"])
        self.own.set_values(values)
        sampler = values.get("sampler")
        self._show_sampler(shown=sampler is not None)
        if self.sampler is not None and sampler is not None:
            self.sampler.set_value(sampler)
        self.summarise()

    def values(self) -> dict[str, Any]:
        """The lane as it stands."""
        miner, miner_options = self.miner.value()
        loss, loss_options = self.loss.value()
        return {
            **self._values,
            **self.own.values(),
            "name": self.name.text().strip(),
            "miner": miner,
            "miner_options": miner_options,
            "loss": loss,
            "loss_options": loss_options,
            "sampler": self.sampler.value() if self.sampler is not None and self.own_sampler.isChecked() else None,
        }

    def summarise(self) -> None:
        """Say in the closed expander which options are not at their defaults, and grey out what does not matter."""
        values = self.values()
        idle = idle_fields(values["miner"], values.get("refresh", LaneConfig.model_fields["refresh"].default))
        for key in LANE_FIELDS:
            reason = f"No effect: {idle[key]}." if key in idle else ""
            self.own.rows[key].set_idle(reason if values.get(key) == self.own.rows[key].default else "")
        own = {key: values[key] for key in LANE_FIELDS if values.get(key) != self.own.rows[key].default}
        changed = {**values["miner_options"], **values["loss_options"], **own}
        if values["sampler"] is not None:
            changed["sampler"] = values["sampler"]["name"]
        pairs = (f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in changed.items())
        self.details.set_summary(", ".join(pairs) or "all at their defaults")

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """Sentences by path inside the lane: `("miner_options", "pool")`."""
        whole = [problems[path] for path in (("name",), ()) if path in problems]
        self.name_problem.say(" ".join(whole))
        for key, named in (("miner", self.miner), ("loss", self.loss)):
            options = f"{key}_options"
            inside = {str(path[1]): text for path, text in problems.items() if path[0:1] == (options,) and path[1:]}
            named.show_problems(problems.get((key,), "") or problems.get((options,), ""), inside)
        if self.sampler is not None:
            self.sampler.show_problems({path[1:]: text for path, text in problems.items() if path[:1] == ("sampler",)})
        self.own.show_problems({str(path[0]): text for path, text in problems.items() if len(path) == 1})
        if any(path[:1] not in ((), ("name",), ("miner",), ("loss",)) for path in problems):
            self.details.open()
