import contextvars

import pytest
from opentelemetry.context import get_current, set_value
from opentelemetry.trace import INVALID_SPAN, get_current_span

from otelkit.processors.context import SUPPRESSED, attach, detach, suppress, suppressed, with_span


def test_suppression_holds_inside_only():
    """`suppress` holds for its block and is gone after it, also when it fails."""
    try:
        with suppress():
            assert suppressed()
            raise KeyError
    except KeyError:
        pass

    assert not suppressed()


def test_contexts_can_be_asked_without_entering():
    """A context that is not the current one can be asked."""
    assert suppressed(SUPPRESSED)
    assert not suppressed(set_value("k", 1))


def test_detaching_elsewhere_says_no():
    """Detaching a token of another context is answered with False, not with an error."""
    token = contextvars.copy_context().run(attach, set_value("k", 1))

    assert detach(token) is False
    assert get_current().get("k") is None


@pytest.mark.parametrize("given", [7, [1], object(), "text"])
def test_what_is_no_context_is_the_current_one(given):
    """A span is put into the current context where something else was given as one."""
    token = attach(set_value("k", 1))
    made = with_span(INVALID_SPAN, given)
    detach(token)

    assert (1, INVALID_SPAN) == (made["k"], get_current_span(made))
