"""Celery with a worker in this process: tasks sent and run, and those that fail at either end."""

from __future__ import annotations

import logging
import threading

import pytest

import otelkit
from asking import instrumented
from otelkit.processors.exceptions import put_words

celery = pytest.importorskip("celery")

SECRET = "sesame42"


class RefusedError(Exception):
    """As a database's: it repeats what it was given."""


class UnsendableError(Exception):
    """One that cannot be pickled, so that Celery puts another in its place."""

    def __reduce__(self):
        raise TypeError("no")


@pytest.fixture(scope="module")
def app():
    """The current application, whose broker is this process's memory."""
    made = celery.Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.update(
        worker_hijack_root_logger=False,
        broker_transport_options={"polling_interval": 0.01, "max_retries": 1, "interval_start": 0},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(celery._state._tls, "current_app", made)
        yield made
    made.close()


@pytest.fixture(scope="module")
def tasks(app):
    """The tasks of the shop, by name."""

    @app.task(name="add", shared=False)
    def add(a, b):
        with otelkit.span("inside"):
            return a + b

    @app.task(name="fail", shared=False, bind=True, max_retries=1)
    def fail(self, kind, text):
        try:
            raise {"RefusedError": RefusedError, "UnsendableError": UnsendableError}[kind](text)
        except Exception as error:
            raise self.retry(exc=error, countdown=0) from error

    return {"add": add, "fail": fail}


@pytest.fixture(scope="module")
def worker(app, tasks):
    """Runs the tasks that are sent; it knows those that are there when it starts."""
    from celery.contrib.testing.worker import start_worker

    root = logging.getLogger()
    level = root.level  # which the worker sets
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="critical"):
        yield
    root.setLevel(level)


def run(task, *args):
    """What a task gives back, or raises, at the worker; its span has ended then."""
    over = threading.Event()

    def end(state=None, **_):
        if state != "RETRY":
            over.set()

    celery.signals.task_postrun.connect(end)
    result = task.delay(*args)
    assert over.wait(20)
    return result.get(timeout=20, propagate=False)


@pytest.fixture
def hidden():
    """The errors of this module show no message, as those of an instrumented database."""
    undo = put_words(__name__.partition(".")[0], lambda error: "")
    yield
    undo()


def test_a_task_sent_and_run_is_one_trace(tasks, worker):
    """The sender's span, below it the sending, below it the run with all that it does; no argument is told."""
    with instrumented("celery") as telemetry, otelkit.span("order"):
        assert SECRET * 2 == run(tasks["add"], SECRET, SECRET)

    chain = [telemetry.span(name) for name in ("order", "apply_async/add", "run/add", "inside")]
    assert [None, *[span.span_id for span in chain[:-1]]] == [span.parent_id for span in chain]
    assert ["INTERNAL", "PRODUCER", "CONSUMER", "INTERNAL"] == [span.kind for span in chain]
    assert SECRET not in str(telemetry.spans)


@pytest.mark.parametrize("kind", ["RefusedError", "UnsendableError"])
def test_a_failed_task_shows_what_its_error_may_say(tasks, worker, hidden, kind):
    """Of an error whose words are hidden neither event, status nor the reason of a retry repeat them."""
    with instrumented("celery") as telemetry:
        run(tasks["fail"], kind, SECRET)

    first, last = [span for span in telemetry.spans if span.name == "run/fail"]
    assert first.attributes["celery.retry.reason"].startswith("Retry in 0s: ")
    assert "ERROR" == last.status
    assert kind in last.error
    assert kind in first.attributes["celery.retry.reason"]
    assert SECRET not in str(telemetry.spans)


@pytest.mark.parametrize("sent", [True, False])
def test_a_task_of_another_program_is_sent_in_its_span(app, worker, sent):
    """Sent by a name that this process does not have: the span lasts as long as the sending, and fails with it."""
    inside = []

    def publishing(**_):
        with otelkit.span("publishing"):
            inside.append(1)

    how = {"retry": False} if not sent else {"queue": "elsewhere"}
    with instrumented("celery") as telemetry, otelkit.span("order"):
        celery.signals.before_task_publish.connect(publishing)
        try:
            with app.connection_for_write(None if sent else "pyamqp://guest@127.0.0.1:1//") as connection:
                app.send_task("remote", (SECRET,), connection=connection, **how)
        except celery.exceptions.OperationalError:
            assert not sent
        finally:
            celery.signals.before_task_publish.disconnect(publishing)
        with otelkit.span("next"):
            pass

    sending = telemetry.span("apply_async/remote")
    assert ("UNSET" if sent else "ERROR", [1]) == (sending.status, inside)
    assert sending.span_id == telemetry.span("publishing").parent_id
    assert {telemetry.span("order").span_id} == {sending.parent_id, telemetry.span("next").parent_id}
    assert sending.duration_s >= telemetry.span("publishing").duration_s
    assert SECRET not in str(telemetry.spans)


@pytest.mark.parametrize("by", ["task", "name", "name and id"])
def test_a_task_that_cannot_be_sent_leaves_nothing_behind(app, tasks, by):
    """The sender gets the broker's error; the sending is a failed span, no longer current, and kept nowhere."""
    send = {
        "task": lambda **how: tasks["add"].apply_async((1, 2), **how),
        "name": lambda **how: app.send_task("add", (1, 2), **how),
        "name and id": lambda **how: app.send_task("add", (1, 2), {}, None, None, "17", **how),
    }[by]
    with instrumented("celery") as telemetry:
        with app.connection_for_write("pyamqp://guest@127.0.0.1:1//") as nowhere:
            with pytest.raises(celery.exceptions.OperationalError), otelkit.span("order"):
                send(connection=nowhere, retry=False)
        with otelkit.span("next"):
            pass

    sending = telemetry.span("apply_async/add")
    assert ("ERROR", telemetry.span("order").span_id) == (sending.status, sending.parent_id)
    assert telemetry.span("next").parent_id is None
    assert not tasks["add"].__otel_task_span
