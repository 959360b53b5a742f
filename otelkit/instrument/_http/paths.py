"""Which requests make no telemetry: their paths, matched whole.

The official instrumentations search a regular expression anywhere in the URL, so that ``metrics``
hides ``/api/metrics`` too. Here a path is meant as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType, ref

__all__ = ["PathFilter", "own_paths"]

_MAX_DEPTH = 8  # mounts inside mounts


@dataclass(frozen=True, slots=True)
class PathFilter:
    """Paths of requests, made by `of`.

    Attributes:
        exact: Paths without their trailing slash.
        pattern: Matches those with a wildcard; None where there are none.
    """

    exact: frozenset[str]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, paths: Iterable[str]) -> PathFilter:
        """The filter for the setting ``http_excluded_paths``.

        Args:
            paths: Each one whole; a trailing slash means nothing, ``*`` stands for any text,
                slashes included.
        """
        stripped = [_stripped(path if path.startswith(("/", "*")) else f"/{path}") for path in paths]
        wild = [re.escape(path).replace(r"\*", ".*") for path in stripped if "*" in path]
        return cls(
            exact=frozenset(path for path in stripped if "*" not in path),
            pattern=re.compile("|".join(wild), re.DOTALL) if wild else None,
        )

    def __bool__(self) -> bool:
        """Whether any path can match."""
        return bool(self.exact) or self.pattern is not None

    def matches(self, path: str) -> bool:
        """Whether a request to ``path`` is one of them."""
        path = _stripped(path)
        return path in self.exact or (self.pattern is not None and self.pattern.fullmatch(path) is not None)


def _stripped(path: str) -> str:
    return path.rstrip("/") or "/"


def own_paths(scope: Mapping[str, Any], app: object) -> Iterator[str]:
    """The paths by which a request may be known.

    The whole one; without the prefix a proxy or a parent application puts before it (``root_path``);
    and for each application mounted in ``app`` that it goes to, the path inside that.

    Args:
        scope: The ASGI scope.
        app: The application; its ``root_path`` and ``routes`` are looked at where it has them.
    """
    path = scope.get("path") or "/"
    yield path
    root = getattr(app, "root_path", "") or scope.get("root_path") or ""
    inner = _inside(path, root.rstrip("/"))
    if inner is not None:
        path = inner
        yield path
    yield from _mounted(path, app, _MAX_DEPTH)


def _mounted(path: str, app: object, depth: int) -> Iterator[str]:
    for prefix, mounted in _mounts(app):
        inner = _inside(path, prefix)
        if inner is not None:
            yield inner
            if depth:
                yield from _mounted(inner, mounted, depth - 1)


# The mounts of an application, and how many routes it had then: looking through all of them costs
# more than the rest of a request's share. By its id, as a `Router` cannot be hashed.
_seen: dict[int, tuple[ReferenceType[Any], int, tuple[tuple[str, Any], ...]]] = {}
_MAX_SEEN = 1_024


def _mounts(app: Any) -> tuple[tuple[str, Any], ...]:
    routes = getattr(app, "routes", None)
    if not routes:
        return ()
    seen = _seen.get(id(app))
    if seen is not None and seen[0]() is app and seen[1] == len(routes):
        return seen[2]
    # Of all routes a mount alone has an application and no endpoint.
    found = [one for one in routes if hasattr(one, "app") and not hasattr(one, "endpoint")]
    mounts = tuple((getattr(one, "path", ""), one.app) for one in found)
    if len(_seen) >= _MAX_SEEN:
        _seen.clear()
    _seen[id(app)] = ref(app), len(routes), mounts
    return mounts


def _inside(path: str, prefix: str) -> str | None:
    """What of ``path`` stands behind ``prefix``; None where that is not its beginning."""
    if not prefix or not path.startswith(prefix):
        return None
    rest = path[len(prefix) :]
    return rest or "/" if rest[:1] in ("", "/") else None
