import contextvars

from opentelemetry.context import get_current, set_value

from otelkit.processors.context import SUPPRESSED, attach, detach, suppress, suppressed


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
