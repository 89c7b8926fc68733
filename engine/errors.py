"""The one tree of errors. Every message names the place, the field, the value and what was expected."""


class TagwatchError(Exception):
    """Root of all errors that Tagwatch raises on purpose."""


class InputError(TagwatchError, ValueError):
    """Bad input: a file, a row, a field or a payload that cannot be taken as it is."""

    def __init__(
        self,
        message: str = "",
        *,
        place: str = "",
        field: str = "",
        value: object = None,
        expected: str = "",
    ) -> None:
        """`place` says where (file and row, or topic); the rest names what is wrong there."""
        self.place, self.field, self.value, self.expected = place, field, value, expected
        self.message = message
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        parts = [self.place] if self.place else []
        if self.field:
            parts.append(f"{self.field} is {_short(self.value)}" if self.value is not None else f"{self.field} is missing")
        if self.message:
            parts.append(self.message)
        if self.expected:
            parts.append(f"expected {self.expected}")
        return ": ".join(parts)

    def at(self, place: str) -> "InputError":
        """The same error, told with the place where it happened in front."""
        where = f"{place}, {self.place}" if self.place else place
        return type(self)(self.message, place=where, field=self.field, value=self.value, expected=self.expected)


class UnreachableError(TagwatchError):
    """A server (database, broker) that is not there; the message names it and how long was waited."""


class StoreError(TagwatchError):
    """The database is there but not in the state that is needed (schema missing, wrong version)."""


def _short(value: object, most: int = 60) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = "nested too deeply to be shown"
    return text if len(text) <= most else text[: most - 1] + "…"
