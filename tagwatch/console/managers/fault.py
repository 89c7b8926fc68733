"""What is wrong with something typed, told by the name that its field has on the page."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import InputError


class Fault:
    """`field` is the field's id on the page; as text it is one sentence that names the field by its label."""

    def __init__(self, fault: InputError, labels: Mapping[str, str]) -> None:
        self.field = str(fault.field or "")
        self._text = str(fault).replace(self.field, labels.get(self.field, self.field), 1)

    def __str__(self) -> str:
        return self._text
