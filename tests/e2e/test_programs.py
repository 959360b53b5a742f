"""What arrives when a program without a server, or a child of one, is told to end."""

from __future__ import annotations

import signal
import sys

import pytest

from arrivals import arrived, environment, total
from process import Program, run
from sink import Sink

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
        assert (1, 1, 1) == arrived(sink, again=True), ended.stderr


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
        assert (told, told, told) == arrived(sink, again=end == "terminated"), ended.stderr


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
        while True:  # Python takes a signal that comes just before a sleep only after it
            time.sleep(0.05)
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
        # A child that is told to end gives up on an answer that is late; its parent then sends that again.
        spans = {span.span_id for span in sink.spans if span.name == "answer"}
        logs = {(log.span_id, log.time_ns) for log in sink.logs if log.body == "answered"}
        assert (6, 6, 6) == (len(spans), len(logs), total(sink, "answers")), ended.stderr
        assert len({span.span_id for span in sink.spans}) == 6 + total(sink, "others")


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
        # Each child may take all of its time for the end, as its main thread goes on making more.
        ended = run(["program.py", "12"], env=environment(sink), cwd=tmp_path, timeout_s=240)

        assert 0 == ended.code, ended.stderr
        assert 12 == ended.stdout.count("ended with -15")
        assert (12, 12, 12) == arrived(sink, again=True), ended.stderr


FIRST_LINE = """
import os, signal, threading, time, otelkit
otelkit.init(service_name="shop", endpoint="http://127.0.0.1:9")
over = threading.Event()
def go_on():
    while not over.is_set():
        otelkit.get_logger().info("in a thread")
        otelkit.get_meter().create_counter("lines").add(1)
        time.sleep(0.001)
for _ in range(2): threading.Thread(target=go_on, daemon=True).start()
codes = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        otelkit.get_logger().info("in a child")
        otelkit.get_meter().create_counter("lines").add(1)
        os._exit(0)
    codes.append(os.waitpid(child, 0)[1])
os._exit(sum(map(bool, codes)))  # how many children hung
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_fork_during_the_first_line_of_another_thread_does_not_hang_the_child():
    """What a thread loads or binds at its first use is whole in a child that is forked meanwhile."""
    assert 0 == run(FIRST_LINE).code


EXECED = """
import os, sys, time, otelkit
otelkit.init(service_name="shop", console=False, log_setup="off")
with otelkit.span("of the parent"): pass
otelkit.flush(30)  # the receiver refuses: the span is on disk now
child = os.fork()
if child == 0:
    os.execv(sys.executable, [sys.executable, "-c", "import time; print('running', flush=True); time.sleep(60)"])
time.sleep(60)
"""
HEIR = """
import otelkit
runtime = otelkit.init(service_name="shop", console=False, log_setup="off")
assert otelkit.flush(30) is True, runtime.stats()
print(runtime.stats()["traces"].adopted, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_program_that_a_fork_executes_keeps_no_lock(tmp_path):
    """A parent is killed while a program that it forked and executed lives on: its spool is taken over."""
    with Sink("refuse") as sink:
        env = environment(sink) | {"XDG_STATE_HOME": str(tmp_path)}
        with Program(EXECED, env=env) as parent:
            parent.wait_for_line("running")
            assert -signal.SIGKILL == parent.stop(signal.SIGKILL).code
            sink.behave("ok")
            heir = run(HEIR, env=env)

        assert (0, "1") == (heir.code, heir.stdout.strip()), heir.stderr
        assert ["of the parent"] == [span.name for span in sink.spans]
