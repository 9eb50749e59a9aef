"""How anchors are drawn: a sampler, its options, and the batch where the options do not settle it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.panels.named_form import NamedForm
from app.panels.option_form import OptionForm
from app.panels.problems import Path
from app.plain import Label
from hnm_core.errors import InputError
from hnm_core.spec.config import SamplerConfig
from hnm_core.spec.registry import SAMPLERS


class SamplerForm(QWidget):
    """Takes and gives the section `sampler` of an experiment or of a lane, as plain values."""

    typed = pyqtSignal()
    committed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.named = NamedForm("Sampler", SAMPLERS)
        self.own = OptionForm(SamplerConfig, ["batch"])
        self.settled = Label()
        self.settled.setObjectName("summary")
        self.settled.setWordWrap(True)
        line = QHBoxLayout()
        line.addWidget(self.named.label)
        line.addWidget(self.named.choice, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        for part in (self.named.problem, self.named.body, self.own, self.settled):
            layout.addWidget(part)
        for form in (self.named, self.own):
            form.typed.connect(self._typed)
            form.committed.connect(self.committed)
        self.set_value(SamplerConfig().model_dump())

    @property
    def batch(self) -> Any:
        """Anchors of a step, as they are typed or as the options settle them."""
        settled = settled_batch(*self.named.value())
        return self.own.rows["batch"].editor.value() if settled is None else settled

    def set_value(self, values: Mapping[str, Any]) -> None:
        """Show a section."""
        self.named.set_value(values["name"], values["options"])
        self.own.set_values(values)
        self._show_batch()

    def value(self) -> dict[str, Any]:
        """The section as it stands; without a batch where the options settle it."""
        name, options = self.named.value()
        own = self.own.values() if settled_batch(name, options) is None else {}
        return {"name": name, "options": options, **own}

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """Sentences by path inside the section: `("batch",)`, `("options", "pool")`, `()` for the whole."""
        inside = {str(path[1]): text for path, text in problems.items() if path[:1] == ("options",) and path[1:]}
        whole = [problems[path] for path in ((), ("name",), ("options",)) if path in problems]
        self.named.show_problems(" ".join(whole) if not inside else "", inside)
        self.own.show_problems({"batch": problems.get(("batch",), "")})

    def _typed(self) -> None:
        self._show_batch()
        self.typed.emit()

    def _show_batch(self) -> None:
        settled = settled_batch(*self.named.value())
        self.own.setVisible(settled is None)
        self.settled.setText(f"{settled:,} anchors a step" if settled is not None else "")
        self.settled.setVisible(settled is not None)


def settled_batch(name: str, options: Mapping[str, Any]) -> int | None:
    """Anchors of a step where the sampler's options settle that; None where they do not, or are not valid."""
    try:
        return SAMPLERS.part(name, options).options.own_batch
    except InputError:
        return None
