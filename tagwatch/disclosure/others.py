"""Other people: identifiers and names that are not to be in what is handed out, replaced in values and in free text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WORD = re.compile(r"\w+")
_LEAST = 3
"""Letters and digits that a name has at least to be looked for in free text: else every `a` would be somebody."""


class Others:
    """Replaces names by what is to stand for them: whole values always, words within a text where they are long enough."""

    def __init__(self, replaced: Mapping[str, str]) -> None:
        self._whole = dict(replaced)
        self._phrases: dict[str, list[tuple[list[str], str]]] = {}
        for name, instead in replaced.items():
            words = _WORD.findall(name.casefold())
            if sum(map(len, words)) >= _LEAST:
                self._phrases.setdefault(words[0], []).append((words, instead))
        for phrases in self._phrases.values():
            phrases.sort(key=lambda phrase: -len(phrase[0]))

    def value(self, value: Any) -> Any:
        """A value as JSON has them, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, (list, tuple)) else value

    def text(self, text: str) -> str:
        """A text without these names."""
        if text in self._whole:
            return self._whole[text]
        words = [(m.start(), m.end(), m[0].casefold()) for m in _WORD.finditer(text)] if self._phrases else []
        parts, at, k = list[str](), 0, 0
        while k < len(words):
            found = self._phrase_at([word for *_, word in words[k : k + 8]])
            if found is None:
                k += 1
                continue
            n_words, instead = found
            parts += [text[at : words[k][0]], instead]
            at, k = words[k + n_words - 1][1], k + n_words
        return "".join([*parts, text[at:]])

    def _phrase_at(self, words: list[str]) -> tuple[int, str] | None:
        for phrase, instead in self._phrases.get(words[0], ()):
            if words[: len(phrase)] == phrase:
                return len(phrase), instead
        return None


def everybody_but(kept: Iterable[str], known: Mapping[str, Iterable[str]], instead: str) -> dict[str, str]:
    """Identifiers and names of all known people but these, whose own names stay whoever else has them."""
    stay = {name for wearer in kept for name in (wearer, *known.get(wearer, ()))}
    names = (name for wearer, called in known.items() for name in (wearer, *called))
    return {name: instead for name in names if name not in stay}
