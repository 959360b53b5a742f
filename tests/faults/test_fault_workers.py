"""Servers that fork workers and recycle them: nothing is lost, the sums are exact."""

from __future__ import annotations

import os
import re
import signal
from http.client import HTTPConnection, RemoteDisconnected

import pytest
from cells import HERE, until

from process import Program, run

TASKS, REQUESTS = 40, 60
MODULE_FOLDER = {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}


def environment(cell, **more):
    return {**cell.env(), **more}


@pytest.mark.parametrize("where", ["parent", "children"])
def test_celery_recycles_its_children(cell, where):
    """Children that end after five tasks each; `init` when the tasks are imported, or in each child."""
    broker = cell.folder / "broker"
    broker.mkdir()
    env = environment(cell, FAULTS_BROKER=str(broker))
    if where == "children":
        env["FAULTS_INIT_IN_CHILDREN"] = "yes"
    worker = (
        "-m celery -A celery_tasks worker --concurrency 2 --max-tasks-per-child 5 --loglevel INFO".split()
    )
    worker += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    with Program(worker, env=env, cwd=HERE) as service:
        assert 0 == run([str(HERE / "celery_tasks.py"), str(TASKS)], env=env).code
        done = broker / "done"
        until(lambda: done.exists() and done.stat().st_size >= TASKS, timeout_s=40)
        ended = service.stop(signal.SIGTERM)
    cell.expect("celery", {"traces": TASKS, "logs": TASKS})
    cell.start_again()

    assert 0 == ended.code, ended.stderr
    cell.assert_nothing_lost()
    cell.assert_few_duplicates(requests=0)


def ask(port, n):
    """Ask for one number; a worker that is being replaced may close the connection first."""
    for _ in range(3):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", f"/{n}")
            return connection.getresponse().read()
        except RemoteDisconnected:
            continue
        finally:
            connection.close()
    raise AssertionError(f"no answer to {n}")


WAYS = {"plain": [], "preload": ["--preload"], "hooks": ["--preload", "-c", str(HERE / "gunicorn_hooks.py")]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("event", ["recycle", "reload"])
def test_gunicorn(cell, way, event):
    """Two workers; they end after some requests, or by SIGHUP in the middle of the traffic."""
    command = "-m gunicorn wsgi_app:application --workers 2 --bind 127.0.0.1:0 --graceful-timeout 10".split()
    command += WAYS[way]
    command += ["--max-requests", "20"] if event == "recycle" else []
    hooks = {"FAULTS_HOOKS": "yes"} if way == "hooks" else {}
    with Program(command, env=environment(cell, **hooks), cwd=HERE) as service:
        listening = service.wait_for_line("Listening at")
        port = int(re.search(r"127\.0\.0\.1:(\d+)", listening)[1])
        workers = set()
        for n in range(REQUESTS):
            workers.add(ask(port, n))
            if event == "reload" and n == REQUESTS // 2:
                service.send_signal(signal.SIGHUP)
                until(lambda: service.stderr.count("Booting worker") >= 4, timeout_s=20)
        ended = service.stop(signal.SIGTERM)
    cell.expect("wsgi", {"traces": REQUESTS, "logs": REQUESTS})
    cell.start_again()

    assert 0 == ended.code, ended.stderr
    assert len(workers) >= 2
    cell.assert_nothing_lost()
    cell.assert_few_duplicates(requests=0)
