"""What arrives when a server or a worker process is told to end: uvicorn in each of its ways, children."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from arrivals import arrived, environment
from process import Program
from sink import Sink

APP = """
import asyncio, contextlib, glob, os, time
INIT, WORKERS, LIFE = os.environ["INIT"], int(os.environ["WORKERS"]), 1
span = lambda: contextlib.nullcontext()
told = lambda: None

def init():
    global span, told
    import otelkit
    otelkit.init(service_name="shop")
    counter = otelkit.get_meter("m").create_counter("answers")
    span = lambda: otelkit.span("answer", {"life": LIFE})
    told = lambda: (counter.add(1), otelkit.get_logger().info("answered"))

def meet():  # blocks this worker until each one has a request in flight
    open(f"held-{os.getpid()}", "w").close()
    print(f"held by {os.getpid()}.", flush=True)
    while len(glob.glob("held-*")) < WORKERS:
        time.sleep(0.005)

async def lifespan(receive, send):
    await receive()
    if INIT.startswith("lifespan"):
        init()
    if INIT == "thread in lifespan":
        await asyncio.to_thread(init)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if INIT == "lifespan with shutdown":
        import otelkit
        otelkit.shutdown()
    await send({"type": "lifespan.shutdown.complete"})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    with span():
        if scope["path"] == "/held":
            meet()
        while (await receive()).get("more_body"):
            pass
        told()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(LIFE).encode()})

if INIT == "import":
    init()
"""
SCRIPT = """
import app, uvicorn
if app.INIT == "script":
    app.init()
try:
    uvicorn.run(app.app, port=0)
except KeyboardInterrupt:  # newer versions catch it themselves
    pass
with app.span():
    app.told()
print("after the server", flush=True)
"""
COMMAND = ["-m", "uvicorn", "app:app", "--port", "0"]


class Server:
    """The application above under a real uvicorn; its exit is compared with the one without otelkit."""

    def __init__(self, folder, *, init, arguments=None, workers=1, env=None, app=APP):
        folder.mkdir(exist_ok=True)
        for old in folder.glob("held-*"):
            old.unlink()
        (folder / "app.py").write_text(app)
        (folder / "main.py").write_text(SCRIPT)
        self.folder, self.workers = folder, workers
        own = {"INIT": init, "WORKERS": str(workers), "PYTHONDONTWRITEBYTECODE": "1"}
        self.program = Program(arguments or ["main.py"], env={**own, **(env or {})}, cwd=folder)

    def __enter__(self):
        line = self.program.wait_for_line("running on http")
        self.port = int(line.split("127.0.0.1:")[1].split()[0])
        self.wait_for("Application startup complete", self.workers)
        return self

    def __exit__(self, *error):
        self.program.__exit__(*error)

    def connect(self):
        """A connection; under a supervisor a worker listens a moment after it has said that it is ready."""
        deadline = time.monotonic() + 20
        while True:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.connect()
                return connection
            except ConnectionRefusedError:
                assert self.program.running and time.monotonic() < deadline, self.program._story()

    def ask(self, path="/"):
        with closing(self.connect()) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def hold(self, *, life=1):
        """One request in flight at each worker: its body is not complete."""
        held = []
        for number in range(self.workers):
            connection = self.connect()
            connection.putrequest("POST", "/held")
            connection.putheader("Content-Length", "2")
            connection.endheaders(b"1")
            held.append(connection)
            self.wait_for("held by", self.workers * (life - 1) + number + 1)
        return held

    def release(self, held):
        for connection in held:
            connection.send(b"2")
        answers = [connection.getresponse() for connection in held]
        assert [200] * len(held) == [answer.status for answer in answers]
        for connection in held:
            connection.close()

    def wait_for(self, text, count):
        """Return as soon as the program has written ``text`` that often."""
        program = self.program
        with program._changed:
            enough = lambda: (program.stdout + program.stderr).count(text) >= count
            program._changed.wait_for(lambda: enough() or not program.running, 20)
            assert enough(), program._story()

    def live(self, *, number=signal.SIGTERM):
        """Three answers, one request in flight at each worker, the signal, the end (timed from there)."""
        assert [(200, "1")] * 3 == [self.ask() for _ in range(3)]
        held = self.hold()
        sent_at = time.monotonic()
        self.program.send_signal(number)
        self.wait_for("Shutting down", self.workers)
        self.release(held)
        ended = self.program.wait()
        return replace(ended, seconds=time.monotonic() - sent_at)


def without(folder, **how):
    """How the same server ends without otelkit."""
    with Server(folder / "without", init="never", **how) as server:
        return server.live()


@pytest.mark.parametrize(
    ("init", "arguments"),
    [
        ("script", None),
        ("import", COMMAND),
        ("lifespan", COMMAND),
        ("lifespan with shutdown", COMMAND),
        ("thread in lifespan", COMMAND),
    ],
)
def test_sigterm_loses_nothing(tmp_path, init, arguments):
    """Wherever init stands: the request in flight is answered, its telemetry arrives, the exit is uvicorn's."""
    expected = without(tmp_path, arguments=arguments)
    with (
        Sink() as sink,
        Server(tmp_path / "with", init=init, arguments=arguments, env=environment(sink)) as server,
    ):
        ended = server.live()

        assert (4, 4, 4) == arrived(sink), ended.stderr
        assert expected.code == ended.code == -signal.SIGTERM
        assert expected.stdout.count("after the server") == ended.stdout.count("after the server")
        assert "otelkit:" not in ended.stderr


@pytest.mark.parametrize("init", ["script", "lifespan"])
def test_sigint_loses_nothing(tmp_path, init):
    """Ctrl-C: the same, and what stands after the server in the script runs and tells."""
    with Server(tmp_path / "without", init="never") as server:
        expected = server.live(number=signal.SIGINT)
    with (
        Sink() as sink,
        Server(tmp_path / "with", init=init, env=environment(sink)) as server,
    ):
        ended = server.live(number=signal.SIGINT)

        assert (5, 5, 5) == arrived(sink), ended.stderr
        assert expected.code == ended.code == 0
        assert expected.stdout.count("after the server") == ended.stdout.count("after the server") == 1


def test_workers_lose_nothing(tmp_path):
    """Two workers, a request in flight at each: the data of both arrive, each under its own identity."""
    how = {"arguments": [*COMMAND, "--workers", "2"], "workers": 2}
    expected = without(tmp_path, **how)
    with Sink() as sink, Server(tmp_path / "with", init="import", env=environment(sink), **how) as server:
        ended = server.live()

        assert (5, 5, 5) == arrived(sink), ended.stderr
        assert 2 == len({span.resource["service.instance.id"] for span in sink.spans})
        assert expected.code == ended.code


def test_reload_loses_nothing(tmp_path):
    """A changed file ends the first life, SIGTERM the second: the data of both arrive."""
    how = {"arguments": [*COMMAND, "--reload"]}
    expected = without(tmp_path, **how)
    with Sink() as sink, Server(tmp_path / "with", init="import", env=environment(sink), **how) as server:
        held = server.hold()
        change(server)
        server.wait_for("Shutting down", 1)
        server.release(held)
        assert (200, "2") == server.ask()
        held = server.hold(life=2)
        server.program.send_signal(signal.SIGTERM)
        server.wait_for("Shutting down", 2)
        server.release(held)
        ended = server.program.wait()

        assert (3, 3, 3) == arrived(sink), ended.stderr
        assert {1: 1, 2: 2} == Counter(
            span.attributes["life"] for span in sink.spans if span.name == "answer"
        )
        assert expected.code == ended.code


def change(server):
    """Begin the second life: uvicorn sees a change only after it has looked at the file once."""
    path = server.folder / "app.py"
    path.write_text(APP.replace("1\nspan", "2\nspan", 1))
    for newer_s in range(1, 40):
        moment = path.stat().st_mtime + newer_s
        os.utime(path, (moment, moment))
        try:
            server.program.wait_for_line("detected changes", timeout_s=0.5)
        except AssertionError:
            continue
        return
    raise AssertionError(server.program.stderr)


@pytest.mark.parametrize("init", ["script", "lifespan"])
def test_sigterm_with_a_hanging_collector_ends_in_time(tmp_path, init):
    """A collector that never answers costs the budget of 2 s besides the server's own time, and one line."""
    expected = without(tmp_path)
    with Sink("hang") as sink:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint}
        with Server(tmp_path / "with", init=init, env=env) as server:
            ended = server.live()

    assert ended.code == expected.code
    assert 1 == len([line for line in ended.stderr.splitlines() if "not delivered" in line])
    # The tolerance is for a busy machine; without a budget it would be 10 s and more.
    assert ended.seconds - expected.seconds < 2.0 + 1.5


SHOP = """
import otelkit
from fastapi import FastAPI
app = FastAPI()
otelkit.init(service_name="shop")
counter = otelkit.get_meter("m").create_counter("answers")
app.mount("/metrics", otelkit.prometheus.asgi_app())

@app.get("/items/{number}")
async def item(number: int):
    with otelkit.span("answer"):
        counter.add(1, {"parity": "odd" if number % 2 else "even"})
        otelkit.get_logger().info("answered")
    return number
"""


def scrape(server, read, accept):
    """The application's own counts by parity, and FastAPI's count of the same requests."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/metrics/", headers={"Accept": accept})
        answer = connection.getresponse()
        assert 200 == answer.status
        samples = [sample for family in read(answer.read().decode()) for sample in family.samples]
    own = {sample.labels["parity"]: sample.value for sample in samples if sample.name == "answers_total"}
    native = "http_server_request_duration_seconds_count"
    routes = Counter(
        {sample.labels["http_route"]: sample.value for sample in samples if sample.name == native}
    )
    return own, routes["/items/{number}"]


def test_a_scraped_application_answers_and_the_numbers_agree(tmp_path):
    """FastAPI answers while it is scraped; every page parses, never counts backwards, and the last one is exact."""
    with (
        Sink() as sink,
        Server(tmp_path, init="", arguments=COMMAND, env=environment(sink), app=SHOP) as server,
    ):
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(server.ask, f"/items/{number}") for number in range(150)]
            seen = [0]
            while not all(answer.done() for answer in answers):
                seen.append(sum(scrape(server, read_text, "text/plain")[0].values()))
        assert [(200, str(number)) for number in range(150)] == [answer.result() for answer in answers]
        assert seen == sorted(seen)
        # FastAPI counts its requests itself since 0.163.
        exact = ({"odd": 75, "even": 75}, 150)
        assert exact == scrape(server, read_text, "text/plain")
        assert exact == scrape(server, read_openmetrics, "application/openmetrics-text")
        ended = server.program.stop(signal.SIGTERM)

        assert (150, 150, 150) == arrived(sink), ended.stderr
        assert -signal.SIGTERM == ended.code
