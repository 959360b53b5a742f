"""What holds for the requests of an HTTP server, made ready once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelkit.instrument._http.headers import HeaderFilter
from otelkit.instrument._http.paths import PathFilter

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["FOLLOWS", "Rules", "rules_of"]

FOLLOWS = ("http_excluded_paths", "http_operation_spans", "http_request_headers", "http_response_headers")
"""The settings that `rules_of` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules for requests.

    Attributes:
        excluded: Requests that make neither spans nor metrics.
        request_headers: Which of the client's headers become attributes.
        response_headers: Which of the answer's.
        operation_spans: Whether FastAPI's inner spans are made.
    """

    excluded: PathFilter
    request_headers: HeaderFilter
    response_headers: HeaderFilter
    operation_spans: bool


def rules_of(settings: Settings) -> Rules:
    """The rules by these settings."""
    return Rules(
        excluded=PathFilter.of(settings.http_excluded_paths),
        request_headers=HeaderFilter.of("request", settings.http_request_headers),
        response_headers=HeaderFilter.of("response", settings.http_response_headers),
        operation_spans=settings.http_operation_spans,
    )
