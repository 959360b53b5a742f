from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from otelkit.instrument._http.paths import PathFilter, own_paths


@pytest.mark.parametrize(
    "path, matches",
    [
        ("/metrics", True),
        ("/metrics/", True),
        ("/api/metrics", False),
        ("/metrics2", False),
        ("/metrics/17", False),
        ("/docs/oauth2-redirect", True),
        ("/docs", True),
        ("/docsearch", False),
        ("/x/docs/y", False),
        ("/a/b/c/internal", True),
        ("/a+b", True),
        ("/aab", False),
        ("/bare", True),
    ],
)
def test_a_path_is_matched_whole(path, matches):
    """A path is meant as written: not a part, not a pattern; the last slash is nothing, * is anything."""
    paths = PathFilter.of(["/metrics", "/docs", "/docs/*", "*/internal", "/a+b", "bare/"])

    assert matches is paths.matches(path)


def test_the_root_alone_is_a_path():
    """`/` hides the front page only; an empty list hides nothing."""
    assert PathFilter.of(["/"]).matches("/")
    assert not PathFilter.of(["/"]).matches("/x")
    assert not PathFilter.of([])
    assert not PathFilter.of([]).matches("/")


async def nothing(request):
    return None


def test_a_request_is_known_by_each_of_its_paths():
    """The whole path, the one behind root_path, and the ones inside the mounts that it goes to."""
    inner = Starlette(routes=[Mount("/b", app=Starlette(routes=[Route("/health", nothing)]))])
    app = Starlette(routes=[Route("/x", nothing), Mount("/a", app=inner), Mount("/other", app=inner)])
    scope = {"path": "/proxy/a/b/health", "root_path": "/proxy"}

    assert ["/proxy/a/b/health", "/a/b/health", "/b/health", "/health"] == list(own_paths(scope, app))


def test_a_prefix_is_a_whole_segment():
    """`/apix` is not inside `/api`."""
    assert ["/apix"] == list(own_paths({"path": "/apix", "root_path": "/api"}, object()))


def test_a_mount_that_is_added_later_is_seen():
    """An application may get its routes at any time."""
    app = Starlette(routes=[Route("/x", nothing)])
    before = list(own_paths({"path": "/a/health"}, app))
    app.mount("/a", Starlette())

    assert (["/a/health"], ["/a/health", "/health"]) == (
        before,
        list(own_paths({"path": "/a/health"}, app)),
    )
