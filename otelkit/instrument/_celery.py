"""Celery: tasks sent and tasks run, in one trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.instrument._library import Library
from otelkit.instrument._official import nothing, official
from otelkit.logs.patch import Patch
from otelkit.processors.exceptions import message, put_words, status_text
from otelkit.processors.plain import safe_str

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY"]

_UP_TO_ID = 5  # arguments, up to the task's id: args, kwargs, countdown, eta, task_id
_official = official("opentelemetry.instrumentation.celery:CeleryInstrumentor")


def _turn_on(settings: Settings) -> Callable[[], object]:
    from celery import Celery, signals  # type: ignore[import-untyped]  # it has no types
    from opentelemetry.instrumentation.celery import utils

    official_undo = _official(settings)
    if official_undo is nothing:
        return nothing
    sending = Patch(Celery, "send_task", _sending(Celery.send_task))
    sending.put()
    module: Any = utils
    finding = Patch(module, "retrieve_task_from_sender", _finding(utils.retrieve_task_from_sender))
    finding.put()
    # After the official receivers, whose texts they replace.
    signals.task_failure.connect(_failed, weak=False)
    signals.task_retry.connect(_retried, weak=False)
    words_undo = put_words("celery", _words)

    def undo() -> None:
        words_undo()
        signals.task_retry.disconnect(_retried)
        signals.task_failure.disconnect(_failed)
        finding.remove()
        sending.remove()
        official_undo()

    return undo


def _sending(found: Callable[..., Any]) -> Callable[..., Any]:
    """`Celery.send_task`, which closes the span of a task that could not be sent.

    The official instrumentation closes it when the task was sent. Else it would stay the current one,
    and Celery's task would keep it for good.
    """
    from celery import uuid

    @functools.wraps(found)
    def send_task(app: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) < _UP_TO_ID:
            kwargs["task_id"] = kwargs.get("task_id") or uuid()
        token = _sent.set(_Unregistered(name))
        try:
            return found(app, name, *args, **kwargs)
        except BaseException as error:
            _not_sent(name, kwargs["task_id"] if len(args) < _UP_TO_ID else args[_UP_TO_ID - 1], error)
            raise
        finally:
            _sent.reset(token)

    return send_task


class _Unregistered:
    """In the place of a task that this process does not have, while it is sent by its name.

    The official instrumentation keeps a sending's span on the task, and without one ends it at once.
    """

    def __init__(self, name: Any) -> None:
        self.name = name


_sent: ContextVar[_Unregistered | None] = ContextVar("otelkit_celery_sent", default=None)


def _finding(found: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The official look-up of a signal's task, which finds one for each that is being sent."""

    @functools.wraps(found)
    def retrieve_task_from_sender(kwargs: Any) -> Any:
        task, sent = found(kwargs), _sent.get()
        return sent if task is None and sent is not None and kwargs.get("sender") == sent.name else task

    return retrieve_task_from_sender


def _not_sent(name: Any, task_id: Any, error: BaseException) -> None:
    from opentelemetry.instrumentation.celery import utils
    from opentelemetry.trace import StatusCode

    with _guard.guard("instrument.celery"):
        task = utils.retrieve_task_from_sender({"sender": name})
        kept = utils.retrieve_context(task, task_id, is_publish=True)
        if kept is not None:
            span, activation, _ = kept
            utils.detach_context(task, task_id, is_publish=True)
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, status_text(error))
            activation.__exit__(None, None, None)


def _failed(sender: Any = None, task_id: Any = None, exception: Any = None, **_: Any) -> None:
    """Give a failed task's span the words that its exception may have."""
    from opentelemetry.trace import StatusCode

    with _guard.guard("instrument.celery"):
        span = _running(sender, task_id)
        if span is not None and span.is_recording() and span.status.status_code is StatusCode.ERROR:
            span.set_status(StatusCode.ERROR, status_text(exception))


def _retried(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> None:
    """The same for the reason of a retry."""
    with _guard.guard("instrument.celery"):
        span = _running(sender, request.id)
        if span is not None and reason is not None:
            span.set_attribute("celery.retry.reason", message(reason))


def _words(error: Any) -> str:
    """What Celery's own exceptions say: of the application's, which they repeat, what may be said."""
    from celery.exceptions import Retry  # type: ignore[import-untyped]  # it has no types
    from celery.utils import serialization  # type: ignore[import-untyped]  # it has no types

    if isinstance(error, serialization.UnpickleableExceptionWrapper):
        return f"{error.exc_module}.{error.exc_cls_name}"
    if isinstance(error, Retry) and isinstance(error.exc, Exception) and not error.message:
        return f"Retry {error.humanize()}: {status_text(error.exc)}"
    return safe_str(error)


def _running(task: Any, task_id: Any) -> Any:
    from opentelemetry.instrumentation.celery import utils

    kept = utils.retrieve_context(task, task_id)
    return None if kept is None else kept[0]


LIBRARY = Library(
    name="celery",
    modules=("celery", "opentelemetry.instrumentation.celery"),
    pip="celery opentelemetry-instrumentation-celery",
    turn_on=_turn_on,
    follows=(),
)
