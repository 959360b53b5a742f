"""An exception in words, by the semantic conventions; never the values of local variables.

An exception class may break any part of its own formatting: nothing here raises.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any, TypeGuard

from otelkit.processors.plain import PLAIN, safe_str
from otelkit.processors.plain import class_name as bare_name

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "SIMPLE",
    "class_name",
    "has_words",
    "is_failure",
    "message",
    "put_words",
    "reworded",
    "stacktrace",
    "stand_in",
    "status_text",
    "traceback_of",
]

SIMPLE = PLAIN | {str, bytes}

Words = Callable[[BaseException], str]

_MAX_MESSAGE = 8_192
_MAX_RELATED = 256
_MAX_ITEMS = 2_048
_MAX_DEPTH = 8
_LISTS = frozenset((list, tuple, set, frozenset))
_words: dict[str, list[Words]] = {}
# A metaclass, a property of an exception's class: both can make plain reading raise.
_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def put_words(package: str, words: Words) -> Callable[[], None]:
    """Let ``words`` say what the exceptions of a package say, wherever telemetry shows them.

    For packages whose messages repeat values: PostgreSQL says which key exists already, Redis which
    arguments it did not understand.

    Args:
        package: The top-level package in which the exception's class is defined.
        words: The message of an exception, without values.

    Returns:
        What takes it back.
    """
    _words.setdefault(package, []).append(words)

    def undo() -> None:
        left = _words.get(package, [])
        if words in left:
            left.remove(words)
        if not left:
            _words.pop(package, None)

    return undo


def message(error: BaseException) -> str:
    """What an exception says; without values where its package's messages repeat them.

    That holds as well for an exception that was made of such a one, or while it was handled, and
    repeats what it says.
    """
    if not _words:
        return safe_str(error)
    words = _own_words(error)
    return _without_values(safe_str(error), _related(error)[1:]) if words is None else words


def has_words(error: BaseException) -> bool:
    """Whether `message` is anything else than what the exception itself says."""
    return bool(_words) and message(error) != safe_str(error)


def stand_in(error: BaseException) -> BaseException:
    """What may be printed in place of an exception: it looks alike, and says what `message` does.

    Args:
        error: Only looked at.

    Returns:
        ``error`` itself where neither it, its causes nor the members of its group are of a package
        whose messages repeat values. Else another exception with the same name, traceback, causes
        and members; its attributes and, but for groups, its base classes are not there.
    """
    if not _words:
        return error
    related = _related(error)
    if all(_own_words(one) is None for one in related):
        return error
    try:
        return _linked(error, related)
    except Exception:
        return _StandIn(message(error))


def reworded(value: Any) -> Any:
    """``value`` with a `stand_in` for each exception in it that needs one.

    Args:
        value: Anything. Lists, tuples, sets and dicts (no subclasses) are looked into, 8 levels and
            2,048 items in all.

    Returns:
        The same object where there is none.
    """
    return _reworded(value, _MAX_DEPTH, [_MAX_ITEMS]) if _words and type(value) not in SIMPLE else value


def _reworded(value: Any, depth: int, left: list[int]) -> Any:
    kind = type(value)
    if kind is dict:
        keys, items = tuple(value), tuple(value.values())
    elif kind in _LISTS:
        keys, items = None, tuple(value)
    else:
        return stand_in(value) if issubclass(kind, BaseException) else value
    if not depth or SIMPLE.issuperset(map(type, items)):
        return value
    shown = []
    for item in items:
        left[0] -= 1
        simple = type(item) in SIMPLE or left[0] < 0
        shown.append(item if simple else _reworded(item, depth - 1, left))
    if all(map(is_, shown, items)):
        return value
    return kind(shown) if keys is None else dict(zip(keys, shown, strict=False))


def _own_words(error: BaseException) -> str | None:
    """What an exception's package lets it say; None where it may say what it does."""
    words = _words.get(_package(error))
    if not words or issubclass(type(error), _Shown):
        return None
    try:
        return words[-1](error)
    except Exception:
        return ""


def _package(error: BaseException) -> str:
    return _module(type(error)).partition(".")[0]


def _module(kind: type) -> str:
    try:
        module = _module_of(kind)
    except Exception:
        return ""
    return module if type(module) is str else ""


def _related(error: BaseException) -> list[BaseException]:
    """The exception, what it was made of, its causes and members, and theirs: 256 at most."""
    found = [error]
    seen = {id(error)}
    for one in found:
        try:
            others = (one.__cause__, one.__context__, *one.args, *_members(one))
        except Exception:  # noqa: S112 - a class without what every exception has
            continue
        for other in others:
            is_one = issubclass(type(other), BaseException)
            if is_one and id(other) not in seen and len(found) < _MAX_RELATED:
                seen.add(id(other))
                found.append(other)
    return found


def _members(error: Any) -> tuple[BaseException, ...]:
    group = _group()
    return error.exceptions if group is not None and issubclass(type(error), group) else ()


def _group() -> Any:
    """The class of groups: Python's, or before 3.11 that of the backport where it is in use."""
    home = builtins if sys.version_info >= (3, 11) else sys.modules.get("exceptiongroup")
    return getattr(home, "BaseExceptionGroup", None)


def _without_values(text: str, related: Iterable[BaseException]) -> str:
    """``text`` with the words of exceptions in place of what they say themselves."""
    for one in related:
        words = _own_words(one)
        if words is not None:
            for said, told in ((safe_str(one), words), (_repr(one), f"{bare_name(type(one))}({words!r})")):
                text = text.replace(said, told) if said else text
    return text


def _repr(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:
        return ""


class _Shown:
    """What is a stand-in already."""

    __slots__ = ()


class _StandIn(_Shown, Exception):
    def __str__(self) -> str:
        return str(self.args[0])


def _linked(error: BaseException, related: list[BaseException]) -> BaseException:
    """The stand-in of an exception, with those of its causes and members."""
    made: dict[int, BaseException] = {}
    for one in related:
        _alone(one, made)
    for one in related:
        shown = made[id(one)]
        shown.__cause__ = made.get(id(one.__cause__))
        shown.__context__ = made.get(id(one.__context__))
        shown.__suppress_context__ = one.__suppress_context__
    return made[id(error)]


def _alone(error: BaseException, made: dict[int, BaseException]) -> BaseException:
    if id(error) in made:
        return made[id(error)]
    members = [_alone(one, made) for one in _members(error)]
    kind: Any = type(error)
    shown: BaseException
    if members:
        words = _own_words(error)
        title = _without_values(error.message, _related(error)) if words is None else words  # type: ignore[attr-defined]
        shown = _class_like(kind, _Shown, _group())(title, members)
    else:
        shown = _class_like(kind, _StandIn)(message(error))
    notes = getattr(error, "__notes__", None)
    if type(notes) is list and _own_words(error) is None:
        shown.__notes__ = [_without_values(safe_str(note), _related(error)) for note in notes]
    made[id(error)] = shown.with_traceback(error.__traceback__)
    return shown


@lru_cache(maxsize=128)
def _class_like(kind: Any, *bases: Any) -> Any:
    """A class that is printed as ``kind`` is."""
    return type(kind.__name__, bases, {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


def class_name(kind: type) -> str:
    """The qualified name of an exception's class, without a module for built-in ones; never raises."""
    module, name = _module(kind), _qualname_of(kind)
    return str(name) if module in {"builtins", ""} else f"{module}.{name}"


def is_failure(error: object) -> TypeGuard[Exception]:
    """Whether it is an `Exception`: no None, nothing like a cancellation. Its class is asked, not itself."""
    return issubclass(type(error), Exception)


def traceback_of(error: object) -> TracebackType | None:
    """The traceback of an exception; None for what is no exception. Never raises."""
    try:
        trace: TracebackType | None = _traceback_of(error)
    except Exception:
        return None
    return trace


def stacktrace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """The traceback as Python prints it, causes and groups included; else class and message."""
    try:
        shown = stand_in(error)
        return "".join(traceback.format_exception(kind if shown is error else type(shown), shown, trace))
    except Exception:
        return f"{class_name(kind)}: {message(error)}"


def status_text(error: BaseException) -> str:
    """What a span's error status says of an exception, as the SDK has it."""
    return f"{bare_name(type(error))}: {message(error)[:_MAX_MESSAGE]}"
