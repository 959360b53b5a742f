"""The demo notices when its numbers do not fit together, and shows what there is most to see in."""

from __future__ import annotations

import pytest

from examples.agent.drive import Reply
from examples.agent.readback import Page
from examples.agent.report import choices, disagreements

REPLIES = [
    Reply(1, "how does yield work, please", 200, 0.2, "yield", "a" * 32),
    Reply(2, "how does yield work, please", 200, 0.1, "yield", "b" * 32, cached=True),
    Reply(3, "", 400, 0.1, "", "c" * 32),
]
ITSELF = {"requests": 3, "errors": 1, "error_ratio": 1 / 3, "p95_s": 0.047, "tokens": 700}
PAGE = """\
# TYPE agent_requests_total counter
agent_requests_total{status="success"} 2
agent_requests_total{status="error"} 1
# TYPE agent_errors_total counter
agent_errors_total{error_type="EmptyQueryError"} 1
agent_errors_total{error_type="TooLongError"} 0
# TYPE agent_request_duration_seconds histogram
agent_request_duration_seconds_bucket{le="0.01"} 1
agent_request_duration_seconds_bucket{le="0.05"} 3
agent_request_duration_seconds_bucket{le="+Inf"} 3
agent_request_duration_seconds_count 3
agent_request_duration_seconds_sum 0.1
# TYPE response_size_bytes histogram
response_size_bytes_bucket{le="+Inf"} 2
response_size_bytes_count 2
response_size_bytes_sum 900
# TYPE llm_tokens_used histogram
llm_tokens_used_bucket{le="+Inf"} 1
llm_tokens_used_count 1
llm_tokens_used_sum 700
# TYPE agent_active_connections gauge
agent_active_connections 0
# TYPE agent_cache_lookups_total counter
agent_cache_lookups_total{result="hit"} 1
agent_cache_lookups_total{result="miss"} 1
"""


def test_numbers_that_agree() -> None:
    """Nothing is found where replies, page and readings are of one opinion."""
    assert disagreements(REPLIES, Page(PAGE), ITSELF, has_cache=True) == []


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (('status="success"} 2', 'status="success"} 1'), "agent_requests_total is 2"),
        (('EmptyQueryError"} 1', 'EmptyQueryError"} 2'), "agent_errors_total is 2"),
        (("llm_tokens_used_count 1", "llm_tokens_used_count 2"), "llm_tokens_used_count is 2"),
        (("size_bytes_count 2", "size_bytes_count 1"), "response_size_bytes_count is 1"),
        (("connections 0", "connections 1"), "agent_active_connections is 1"),
        (('result="hit"} 1', 'result="hit"} 2'), "the cache counts 2 hits"),
    ],
)
def test_a_wrong_page_is_named(wrong: tuple[str, str], name: str) -> None:
    """Each number of the page is compared with what was seen."""
    (problem,) = disagreements(REPLIES, Page(PAGE.replace(*wrong)), ITSELF, has_cache=True)

    assert problem.startswith(name)


@pytest.mark.parametrize("name", list(ITSELF))
@pytest.mark.parametrize("value", [None, 17])
def test_a_wrong_reading_is_named(name: str, value: float | None) -> None:
    """Each number that the service reads of itself is compared, also one that it does not know."""
    (problem,) = disagreements(REPLIES, Page(PAGE), {**ITSELF, name: value}, has_cache=True)

    assert problem.startswith(f"the service reads {name} = {value} of itself")


def test_a_request_with_a_search_is_shown_first() -> None:
    """An answer from the cache is shown only where there is no other."""
    assert [reply.number for reply in choices(REPLIES)] == [1, 2]
    assert [reply.number for reply in choices(REPLIES[1:])] == [2]
