"""Where telemetry of somebody else's provider comes from: its scope and resource, made encodable.

Ours are clean from the start. One that cannot be encoded would cost the batch it stands in.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from otelkit.processors.limits import repair, repair_text

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["clean_resource", "clean_scope", "foreign_span"]


def foreign_span(span: Any) -> Any:
    """A span of somebody else's provider, with scope and resource that can be encoded.

    Args:
        span: A span that has ended; not changed.

    Returns:
        ``span`` itself when there was nothing to change.
    """
    scope, resource = clean_scope(span.instrumentation_scope), clean_resource(span.resource)
    if scope is span.instrumentation_scope and resource is span.resource:
        return span
    changed = copy.copy(span)
    changed._instrumentation_scope = scope
    changed._resource = resource
    return changed


def clean_scope(scope: InstrumentationScope | None) -> InstrumentationScope | None:
    """A scope whose parts can all be encoded; the same object when they can."""
    if scope is None:
        return None
    given = (scope.name or "", scope.version or "", scope.schema_url or "")
    name, version, schema_url = map(repair_text, given)
    attributes = dict(scope.attributes or {})
    repaired = repair(attributes)
    if (name, version, schema_url) == given and repaired is attributes:
        return scope
    return type(scope)(name, version, schema_url, repaired)


def clean_resource(resource: Resource) -> Resource:
    """A resource whose attributes can all be encoded; the same object when they can."""
    attributes = dict(resource.attributes)
    repaired = repair(attributes)
    return resource if repaired is attributes else type(resource)(repaired, resource.schema_url)
