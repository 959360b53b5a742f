"""What hides secrets, once, before telemetry parts into its ways out.

Secrets are found by key (`secret_keys`: the table of words), by shape (`secret_shapes`: tokens,
private keys, card numbers, passwords in addresses) and behind a key inside a text
(`secret_pairs`), all this also where a URL has it encoded (`secret_queries`). The user adds names,
patterns and a callback.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otelkit import _guard
from otelkit.processors.limits import MAX_LENGTH, safe_str, snapshot
from otelkit.processors.plain import PLAIN, class_name, items_of
from otelkit.processors.secret_keys import Verdict, judge, segments
from otelkit.processors.secret_pairs import hide_pairs, mentions_key
from otelkit.processors.secret_queries import hide_companions, hide_encoded
from otelkit.processors.secret_shapes import PLACEHOLDER, hide_shapes, may_hide

__all__ = ["PLACEHOLDER", "Redactor", "Shaped"]

Callback = Callable[[str, Any], object]

_MAX_KEYS = 4_096  # keys remembered; beyond it all are judged anew
_MAX_KEY_LENGTH = 128  # longer keys are not remembered
_MAX_CLEAN = 4_096  # short texts without a secret are remembered: most values of attributes repeat
_MAX_CLEAN_LENGTH = 96
_MAX_ENCODED = 3  # a URL in the query of a URL in the query of a URL
_MAX_DEPTH = 32  # a snapshot has 8; what is deeper is hidden whole

_LISTS = (tuple, list)
_OPEN = Verdict.OPEN  # a member of an Enum is slow to reach on Python 3.10
_SIZED = frozenset((str, bytes, tuple, list, dict))


class Shaped(dict[str, Any]):
    """Attributes that are a snapshot and redacted already; they are not redacted again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Redactor:
    """Hides secrets in plain data; made by `of`, used by any number of threads.

    Attributes:
        enabled: False hands everything through.
        names: Further secret keys as their segments, each matched anywhere in a key.
        patterns: What matches one of them in a text is replaced.
        callback: Called as ``callback(key, value)`` after everything else, for each entry of a
            mapping at any depth, inner entries first; for a text outside a mapping the key is
            ``""``. It returns the value to use. If it raises, the value is hidden.
    """

    enabled: bool = True
    names: frozenset[tuple[str, ...]] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    callback: Callback | None = None
    _stems: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _verdicts: dict[str, Verdict] = field(default_factory=dict, init=False, repr=False, compare=False)
    _clean: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stems", tuple(max(name, key=len) for name in self.names))

    @classmethod
    def of(cls, redact: object = True) -> Redactor:
        """The redactor for a ``redact=`` setting.

        Args:
            redact: True or None: the built-in rules. False: hide nothing. Added to the built-in
                rules: key names (strings), patterns for values (compiled), a callback
                ``(key, value) -> value``; one of these, or a sequence of them.

        Returns:
            A redactor. A part that cannot be used is named in one line on stderr and left out.
        """
        if redact is None or isinstance(redact, bool):
            return cls(enabled=redact is not False)
        several = isinstance(redact, (list, tuple, set, frozenset))
        rules: list[Any] = list(redact) if several else [redact]  # type: ignore[call-overload]
        names = [parts for rule in rules if isinstance(rule, str) and (parts := segments(rule))]
        patterns = [rule for rule in rules if _is_text_pattern(rule)]
        callbacks = [rule for rule in rules if callable(rule)][:1]
        for rule in rules:
            if not (isinstance(rule, str) and segments(rule)) and rule not in patterns + callbacks:
                _guard.say(
                    f"a {class_name(type(rule))} in redact= is not used; "
                    "give key names with letters, compiled patterns for text, or one callback."
                )
        return cls(
            names=frozenset(names),
            patterns=tuple(patterns),
            callback=callbacks[0] if callbacks else None,
        )

    def text(self, text: str) -> str:
        """A text (message, span name, traceback) without secrets.

        Args:
            text: Any string.

        Returns:
            The same object when there is nothing to hide. Never raises.
        """
        if not self.enabled:
            return text
        shown = self.scrub(text)
        return shown if self.callback is None else safe_str(self._called("", shown))

    def scrub(self, text: str) -> str:
        """`text` without the callback, for otelkit's own diagnostics."""
        if not self.enabled or (not self.patterns and not may_hide(text)) or text in self._clean:
            return text
        shown = self._hide(text, _MAX_ENCODED)
        for pattern in self.patterns:
            shown = pattern.sub(_cover, shown)
        if shown != text:
            return shown
        if len(self._clean) >= _MAX_CLEAN:
            self._clean.clear()
        if len(text) <= _MAX_CLEAN_LENGTH:
            self._clean.add(text)
        return text

    def value(self, key: str, value: Any) -> Any:
        """The value of one attribute or field without secrets.

        Args:
            key: Its name, ``""`` for none. If it names a secret, the value is hidden whole, apart
                from ``None``, booleans and empty values; the items of a list are hidden as one.
            value: Plain data as `snapshot` makes it; of any other object nothing is read.

        Returns:
            The same object when there is nothing to hide. Never raises.
        """
        return self._value(key, value, 0) if self.enabled else value

    def fields(self, mapping: Mapping[str, Any]) -> dict[str, Any]:
        """All values of ``mapping`` without secrets; see `value`. The keys stay.

        Args:
            mapping: Attributes of plain data.

        Returns:
            The same object when there is nothing to hide and it is a dict. `Shaped` attributes come
            back as they are.
        """
        if self.enabled and type(mapping) is not Shaped:
            changed = {}
            quiet = self.callback is None and not self.patterns
            for key, value in mapping.items():
                if quiet and self._verdicts.get(key) is _OPEN:  # the common case without any call
                    kind = type(value)
                    if kind in PLAIN or (kind is str and (value in self._clean or not may_hide(value))):
                        continue
                shown = self._value(key, value, 0)
                if shown is not value:
                    changed[key] = shown
            if changed:
                return {**mapping, **changed}
        return mapping if isinstance(mapping, dict) else dict(mapping)

    def _hide(self, text: str, encoded: int) -> str:
        shown = hide_shapes(text)
        if mentions_key(shown, self._stems):
            shown = hide_pairs(shown, self._judge)
        if "&" in shown:
            shown = hide_companions(shown)
        if encoded and ("%3" in shown or "%25" in shown):
            shown = hide_encoded(shown, lambda inner: self._hide(inner, encoded - 1))
        return shown

    def _judge(self, key: str) -> Verdict:
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = judge(key, self.names)
            if len(self._verdicts) >= _MAX_KEYS:
                self._verdicts.clear()
            if len(key) <= _MAX_KEY_LENGTH:
                self._verdicts[key] = verdict
        return verdict

    def _value(self, key: Any, value: Any, depth: int) -> Any:
        name = key.decode("latin-1") if type(key) is bytes else key
        if type(name) is str and name and self._judge(name) is not _OPEN:
            shown = _hidden(value)
        elif type(value) in PLAIN:
            shown = value
        elif type(value) is str and type(name) is str and name == "url.query":
            shown = self._query(value)
        else:
            shown = self._open(value, depth)
        return shown if self.callback is None else self._called(name, shown)

    def _open(self, value: Any, depth: int) -> Any:
        """``value`` under a key that is no secret, or under none."""
        kind = type(value)
        if kind is str:
            return self.scrub(value)
        if kind is bytes:
            before = value.decode("latin-1")
            after = self.scrub(before)
            return value if after is before else after.encode("latin-1", "backslashreplace")
        if depth > _MAX_DEPTH and issubclass(kind, (dict, *_LISTS)):
            return PLACEHOLDER
        if issubclass(kind, _LISTS):
            return self._list(value, depth + 1)
        if issubclass(kind, dict):
            return self._mapping(value, depth + 1)
        return self.scrub(str.__str__(value)) if issubclass(kind, str) else value

    def _query(self, value: str) -> str:
        """A query without its ``?``, which tells that a quote or a bracket is part of a value."""
        shown = self.scrub(f"?{value}")[1:]
        return value if shown == value else shown

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        before = items_of(value)
        items = [item if type(item) in PLAIN else self._item(item, depth) for item in before]
        if all(map(_is_same, items, before)):
            return value
        return items if isinstance(value, list) else tuple(items)

    def _item(self, item: Any, depth: int) -> Any:
        """An item of a list, which may be one pair of a list of headers."""
        if type(item) in _LISTS and len(item) == 2 and type(item[0]) in (str, bytes):  # noqa: PLR2004
            key, before = item
            after = self._value(key, before, depth + 1)
            return item if after is before else type(item)((key, after))
        return self._open(item, depth)

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        shown = {}
        for key, item in dict.items(value):
            new_key = self.scrub(key) if type(key) is str else key
            shown[new_key] = self._value(key, item, depth)
        same = len(shown) == dict.__len__(value) and all(
            key in shown and shown[key] is item for key, item in dict.items(value)
        )
        return value if same else shown

    def _called(self, key: Any, value: Any) -> Any:
        try:
            result = self.callback(key, value)  # type: ignore[misc]
        except BaseException as error:
            if not _guard.ends_here(error):
                raise
            _report(error)
            return PLACEHOLDER
        if result is value:
            return value
        # As long as what it was made of, which has been bounded.
        return snapshot(result, max_length=max(MAX_LENGTH, _longest(value)))


def _longest(value: Any) -> int:
    """The length of the longest text in plain data."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind in _LISTS:
        return max(map(_longest, value), default=0)
    return max(map(_longest, value.values()), default=0) if kind is dict else 0


def _hidden(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or (kind in _SIZED and not value):
        return value
    if kind in _LISTS:
        return value if len(value) == 1 and _is_placeholder(value[0]) else kind((PLACEHOLDER,))
    return value if _is_placeholder(value) else PLACEHOLDER


def _is_placeholder(value: Any) -> bool:
    return type(value) is str and value == PLACEHOLDER


def _is_same(one: object, other: object) -> bool:
    return one is other


def _cover(match: re.Match[str]) -> str:
    return PLACEHOLDER if match[0] else ""


def _report(error: BaseException) -> None:
    """Count and name a failure of the callback, without its text, which may hold the value."""
    try:
        raise RuntimeError(  # noqa: TRY301 - the guard reports what is being handled
            f"the redact callback raised {class_name(type(error))}, the value was hidden"
        )
    except RuntimeError:
        _guard.swallowed("redact.callback")


def _is_text_pattern(rule: object) -> bool:
    return isinstance(rule, re.Pattern) and isinstance(rule.pattern, str)
