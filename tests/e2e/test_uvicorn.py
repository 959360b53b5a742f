"""What arrives when a server or a worker process is told to end: uvicorn in each of its ways, children."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from process import Program, run
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


def environment(sink):
    # What is tested is that nothing is lost; on a busy machine that may take longer than the default.
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, "OTELKIT_SHUTDOWN_TIMEOUT_S": "10"}


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


def total(sink, name):
    """The sum over all processes of a cumulative counter's last values."""
    last = {
        (point.resource["service.instance.id"], *sorted(point.attributes.items())): point.value
        for point in sink.metrics
        if point.name == name
    }
    return sum(last.values())


def arrived(sink):
    """How many of the answers arrived, by signal."""
    spans = [span.span_id for span in sink.spans if span.name == "answer"]
    assert len(spans) == len(set(spans))
    return len(spans), len([log for log in sink.logs if log.body == "answered"]), total(sink, "answers")


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
        exact = ({"odd": 75, "even": 75}, 150)
        assert exact == scrape(server, read_text, "text/plain")
        assert exact == scrape(server, read_openmetrics, "application/openmetrics-text")
        ended = server.program.stop(signal.SIGTERM)

        assert (150, 150, 150) == arrived(sink), ended.stderr
        assert -signal.SIGTERM == ended.code


# -- programs and children without a server -----------------------------------------------------

TELL = """
import multiprocessing, os, random, signal, sys, threading, time
import otelkit
def tell(name="answer"):
    with otelkit.span(name):
        otelkit.get_meter("m").create_counter(name + "s").add(1)
        otelkit.get_logger().info(name + "ed")
"""


ASYNCIO = """
import asyncio
async def main():
    stop = asyncio.Event()
    if sys.argv[1] == "init first":
        otelkit.init(service_name="shop")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if sys.argv[1] == "handler first":
        otelkit.init(service_name="shop")
    tell()
    print("ready", flush=True)
    await stop.wait()
    tell()
    return 5
sys.exit(asyncio.run(main()))
"""


@pytest.mark.parametrize("order", ["init first", "handler first"])
def test_asyncio_signal_handler_works_on(tmp_path, order):
    """A handler of the event loop ends the program in its own way, set before init or after it."""
    (tmp_path / "program.py").write_text(TELL + ASYNCIO)
    with Sink() as sink, Program(["program.py", order], env=environment(sink), cwd=tmp_path) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

        assert 5 == ended.code, ended.stderr
        assert (2, 2, 2) == arrived(sink), ended.stderr


CHAINED = """
otelkit.init(service_name="first")
ours = signal.getsignal(signal.SIGTERM)
def bye(number, frame):
    tell()
    ours(number, frame)
signal.signal(signal.SIGTERM, bye)
otelkit.init(service_name="second")
tell()
print("ready", flush=True)
time.sleep(60)
"""


def test_handler_that_calls_the_earlier_one():
    """An own handler over the one of the first init, below the one of the second: each runs, then the end."""
    with Sink() as sink, Program(TELL + CHAINED, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

        assert -signal.SIGTERM == ended.code, ended.stderr
        assert (2, 2, 2) == arrived(sink), ended.stderr


LOCKED = """
from opentelemetry.metrics import Observation
lock = threading.Lock()
def observe(options):
    with lock:
        return [Observation(1)]
otelkit.init(service_name="shop")
otelkit.get_meter("m").create_observable_gauge("stock", [observe])
tell()
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""


def test_the_interrupted_line_may_hold_a_lock():
    """The shutdown waits for a lock of the line that the signal interrupts: it goes on, and nothing is lost."""
    with Sink() as sink:
        ended = run(TELL + LOCKED, env=environment(sink))

        assert -signal.SIGTERM == ended.code, ended.stderr
        assert (1, 1, 1) == arrived(sink), ended.stderr
        assert 1 == total(sink, "stock")


def test_sigterm_during_the_exit():
    """A program that is about to end, and is told to: it ends by the signal, but only within its budget."""
    with Sink("hang") as sink:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint}
        with Program(TELL + 'otelkit.init(service_name="shop")\ntell()', env=env) as program:
            sink.wait_for(lambda sink: sink.requests)
            ended = program.stop(signal.SIGTERM)

    assert -signal.SIGTERM == ended.code, ended.stderr
    assert 1 == len([line for line in ended.stderr.splitlines() if "not delivered" in line])


FORK_AFTER_SIGNAL = """
from opentelemetry.metrics import Observation
parent, over = os.getpid(), threading.Event()
def observe(options):
    if os.getpid() == parent:
        over.wait()
    return [Observation(1)]
otelkit.init(service_name="shop")
otelkit.get_meter("m").create_observable_gauge("stock", [observe])
os.kill(parent, signal.SIGTERM)
child = os.fork()
if child == 0:
    tell()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
print("the child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
over.set()
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_child_of_a_process_that_is_being_ended_has_its_own_end():
    """A fork while the parent shuts down: the child's SIGTERM is its first, and its data arrive."""
    with Sink() as sink:
        ended = run(TELL + FORK_AFTER_SIGNAL, env=environment(sink))

        assert -signal.SIGTERM == ended.code, ended.stderr
        assert "the child ended with -15" in ended.stdout
        assert (1, 1, 1) == arrived(sink), ended.stderr


CHILD = """
METHOD, END = sys.argv[1:]
def init():
    otelkit.init(service_name="shop")
def work(ready):
    if METHOD == "spawn":
        init()
    tell()
    ready.send(1)
    if END == "terminated":
        time.sleep(60)
if __name__ == "__main__":
    if METHOD == "fork":
        init()
        tell()
    methods = multiprocessing.get_context(METHOD)
    ready, end = methods.Pipe()
    child = methods.Process(target=work, args=(end,))
    child.start()
    ready.recv()
    if END == "terminated":
        child.terminate()
    child.join()
    if METHOD == "fork":
        tell()
    print("the child ended with", child.exitcode)
"""


@pytest.mark.parametrize(
    ("method", "end", "told", "code"),
    [
        ("spawn", "returned", 1, 0),
        ("spawn", "terminated", 1, -signal.SIGTERM),
        ("fork", "returned", 3, 0),
        ("fork", "terminated", 3, -signal.SIGTERM),
    ],
)
def test_multiprocessing_child_loses_nothing(tmp_path, method, end, told, code):
    """A spawn child that calls init, a fork child of one that did: returned or terminated, all arrives."""
    (tmp_path / "program.py").write_text(TELL + CHILD)
    with Sink() as sink:
        ended = run(["program.py", method, end], env=environment(sink), cwd=tmp_path)

        assert f"the child ended with {int(code)}\n" in ended.stdout, ended
        assert 0 == ended.code
        assert (told, told, told) == arrived(sink), ended.stderr


THREADS = """
otelkit.init(service_name="shop")
over = threading.Event()
def go_on():
    while not over.is_set():
        tell("other")
        time.sleep(0.001)
threads = [threading.Thread(target=go_on) for _ in range(2)]
for thread in threads: thread.start()
codes = []
for _ in range(6):
    begin, end = os.pipe()
    child = os.fork()
    if child == 0:
        tell()
        os.write(end, b"1")
        time.sleep(60)
    os.read(begin, 1)
    os.kill(child, signal.SIGTERM)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
over.set()
for thread in threads: thread.join()
print("the children ended with", *codes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_sigterm_for_a_fork_of_a_process_with_threads():
    """Whatever the parent's threads did at the fork, the child delivers and ends by its own signal."""
    with Sink() as sink:
        ended = run(TELL + THREADS, env=environment(sink))

        assert 0 == ended.code, ended.stderr
        assert "the children ended with" + " -15" * 6 in ended.stdout
        assert (6, 6, 6) == arrived(sink), ended.stderr
        assert len({span.span_id for span in sink.spans}) == len(sink.spans) == 6 + total(sink, "others")


LEFT = """
otelkit.init(service_name="shop")
with otelkit.span("around"):
    for _ in range(5):
        tell()
        child = os.fork()
        if child == 0:
            tell("unsent")
            os._exit(3)
        assert 3 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_child_that_leaves_at_once_does_not_disturb_its_parent():
    """os._exit in a plain fork child may lose the child's own data; the parent's arrive once and exact."""
    with Sink() as sink:
        ended = run(TELL + LEFT, env=environment(sink))

        assert 0 == ended.code, ended.stderr
        assert (5, 5, 5) == arrived(sink), ended.stderr
        assert 1 == len([span for span in sink.spans if span.name == "around"])


BUSY = """
otelkit.init(service_name="shop")
for repetition in range(int(sys.argv[1])):
    begin, end = os.pipe()
    child = os.fork()
    if child == 0:
        for number in range(10**9):
            tell("other")
            if number == 10 * repetition:
                tell()
                os.write(end, b"1")
    os.read(begin, 1)
    os.kill(child, signal.SIGTERM)
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_sigterm_in_a_tight_loop_never_stalls(tmp_path):
    """The signal interrupts the making of spans, records and counts at any line; no lock is waited for."""
    (tmp_path / "program.py").write_text(TELL + BUSY)
    with Sink() as sink:
        ended = run(["program.py", "12"], env=environment(sink), cwd=tmp_path)

        assert 0 == ended.code, ended.stderr
        assert 12 == ended.stdout.count("ended with -15")
        assert (12, 12, 12) == arrived(sink), ended.stderr
