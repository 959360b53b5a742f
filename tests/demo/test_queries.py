"""The bundled queries are enough, and bad enough."""

from __future__ import annotations

from examples.agent.agent import MAX_QUERY_CHARS
from examples.agent.drive import load_queries


def test_there_are_queries_of_every_kind() -> None:
    """At least 200, among them empty, very long, non-text ones, raw bytes and half characters."""
    queries = load_queries()
    texts = [query for query in queries if isinstance(query, str)]

    assert len(queries) >= 200
    assert any(not text.strip() for text in texts)
    assert any(len(text) > MAX_QUERY_CHARS for text in texts)
    assert any("\ud800" <= char <= "\udfff" for text in texts for char in text)
    assert any(isinstance(query, dict) and "$bytes" in query for query in queries)
    assert any(isinstance(query, int) for query in queries)
