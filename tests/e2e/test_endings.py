"""The ends of a process, from outside: signals, deadlines, forks."""

import signal
import sys

import pytest

from process import Program, run
from sink import Sink

TOLD = """
import otelkit, sys, time, json
runtime = otelkit.init(service_name="shop")
counter = otelkit.get_meter().create_counter("n")
for number in range(600):
    with otelkit.span("s"):
        counter.add(1)
        otelkit.get_logger().info("line")
"""
SHUTDOWN = (
    TOLD
    + """
begin = time.monotonic()
answer = otelkit.shutdown(timeout_s=1.0)
took = time.monotonic() - begin
begin = time.monotonic()
time.sleep(1.0)
plain = time.monotonic() - begin
print(json.dumps({"took": took, "answer": answer, "plain": plain,
    "lost": {name: counts.lost + counts.in_flight for name, counts in runtime.stats().items()},
    "spooled": {name: counts.spooled for name, counts in runtime.stats().items()},
    "created": {name: counts.created for name, counts in runtime.stats().items()}}), flush=True)
"""
)
FLUSH = (
    TOLD
    + """
begin = time.monotonic()
answer = otelkit.flush(timeout_s=0.5)
took = time.monotonic() - begin
begin = time.monotonic()
time.sleep(0.5)
plain = time.monotonic() - begin
print(json.dumps({"took": took, "answer": answer, "plain": plain}), flush=True)
import os; os._exit(0)
"""
)


def environment(sink, protocol="http/protobuf"):
    endpoint = sink.http_endpoint if protocol == "http/protobuf" else sink.grpc_endpoint
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


def answer_of(ended):
    import json

    assert 0 == ended.code, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behaviour", ["refuse", "hang", "drip"])
def test_shutdown_keeps_its_deadline_and_the_rest_on_disk(behaviour, protocol):
    """With a collector that refuses, hangs or drips, shutdown ends in time; all waits on disk."""
    with Sink(behaviour) as sink:
        ended = run(SHUTDOWN, env=environment(sink, protocol))
    answer = answer_of(ended)

    # The stated tolerance is 0.1 s; a busy machine gets twice that.
    assert answer["took"] - answer["plain"] < 0.2
    assert answer["answer"] is False
    assert answer["spooled"] == answer["created"]
    assert (600, 600) == (answer["created"]["traces"], answer["created"]["logs"])
    assert answer["created"]["metrics"] > 0
    assert 0 == sum(answer["lost"].values())
    assert 1 == ended.stderr.count("kept on disk for the next process"), ended.stderr


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behaviour", ["refuse", "hang", "drip"])
def test_shutdown_without_a_spool_counts_what_is_lost(behaviour, protocol):
    """In memory only, shutdown ends in time too, and every item is counted as lost, in one line."""
    with Sink(behaviour) as sink:
        ended = run(SHUTDOWN, env=environment(sink, protocol) | {"OTELKIT_SPOOL": "off"})
    answer = answer_of(ended)

    assert answer["took"] - answer["plain"] < 0.2
    assert answer["answer"] is False
    assert answer["lost"] == answer["created"]
    assert (600, 600) == (answer["created"]["traces"], answer["created"]["logs"])
    assert answer["created"]["metrics"] > 0
    said = [line for line in ended.stderr.splitlines() if "not delivered" in line]
    assert 1 <= len(said) <= 2, ended.stderr


@pytest.mark.parametrize("behaviour", ["refuse", "hang", "drip"])
def test_flush_keeps_its_deadline(behaviour):
    """A flush returns in time, all signals together, whatever the collector does."""
    with Sink(behaviour) as sink:
        answer = answer_of(run(FLUSH, env=environment(sink)))

    assert answer["took"] - answer["plain"] < 0.2
    assert answer["answer"] is False


def test_exit_without_a_collector_is_fast():
    """A program on a laptop without a collector ends at once, with one line."""
    ended = run(TOLD + "print(time.monotonic(), flush=True)\nimport atexit\natexit.register(lambda: None)")

    assert 0 == ended.code
    assert ended.seconds < 5
    assert 1 == len([line for line in ended.stderr.splitlines() if line.startswith("otelkit:")]), ended.stderr


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_normal_exit_sends_everything(protocol):
    """A program that just ends loses nothing."""
    with Sink() as sink:
        ended = run(TOLD, env=environment(sink, protocol))

        assert 0 == ended.code, ended.stderr
        assert (600, 600) == (len(sink.spans), len(sink.logs))
        assert 600 == next(point.value for point in sink.metrics if point.name == "n")


def test_uncaught_exception_becomes_one_record():
    """An exception that nobody caught is one FATAL record, and the program fails as without otelkit."""
    with Sink() as sink:
        ended = run(TOLD + "raise ValueError('the end')", env=environment(sink))

        fatal = [record for record in sink.logs if record.severity == "FATAL"]
        assert (1, 600) == (ended.code, len(sink.spans))
        assert ["the end"] == [record.attributes["exception.message"] for record in fatal]
        assert "ValueError: the end" in ended.stderr


WAITING = TOLD + "print('ready', flush=True)\ntime.sleep(60)"


def test_sigterm_loses_nothing_and_keeps_its_status():
    """SIGTERM with a healthy collector: everything arrives, and the exit status is the signal's."""
    with Sink() as sink, Program(WAITING, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

        assert -signal.SIGTERM == ended.code, ended.stderr
        assert (600, 600) == (len(sink.spans), len(sink.logs))
        assert 600 == next(point.value for point in sink.metrics if point.name == "n")


def test_sigterm_while_the_main_thread_is_busy():
    """The signal may interrupt any line, also inside a span call: nothing stalls, nothing is lost twice."""
    busy = TOLD + "print('ready', flush=True)\nwhile True:\n    with otelkit.span('busy'): pass"
    for _ in range(3):
        with Sink() as sink, Program(busy, env=environment(sink)) as program:
            program.wait_for_line("ready")
            ended = program.stop(signal.SIGTERM)

            assert -signal.SIGTERM == ended.code, ended.stderr
            assert ended.seconds < 5
            ids = [span.span_id for span in sink.spans]
            assert len(ids) == len(set(ids))


def test_sigint_is_keyboard_interrupt():
    """Ctrl-C raises KeyboardInterrupt as always; spans that end by it arrive too."""
    program_text = TOLD + (
        "with otelkit.span('interrupted'):\n    print('ready', flush=True)\n    time.sleep(60)"
    )
    with Sink() as sink, Program(program_text, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGINT)

        assert "KeyboardInterrupt" in ended.stderr
        assert 601 == len(sink.spans)


def test_handler_of_the_application_runs_at_once():
    """An own SIGTERM handler runs as without otelkit; what it tells before it exits arrives."""
    program_text = (
        """
import signal, sys
def bye(number, frame):
    with otelkit.span("bye"): pass
    sys.exit(7)
import otelkit
signal.signal(signal.SIGTERM, bye)
"""
        + WAITING
    )
    with Sink() as sink, Program(program_text, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

        assert 7 == ended.code, ended.stderr
        assert 601 == len(sink.spans)


def test_ignored_signal_stays_ignored():
    """A program that ignores SIGTERM goes on ignoring it."""
    program_text = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + TOLD
        + "print('ready', flush=True)\nsys.stdin.readline()\nprint('still here', flush=True)"
    )
    program_text = program_text.replace("sys.stdin.readline()", "time.sleep(1.0)")
    with Sink() as sink, Program(program_text, env=environment(sink)) as program:
        program.wait_for_line("ready")
        program.send_signal(signal.SIGTERM)
        program.wait_for_line("still here")
        ended = program.wait()

        assert 0 == ended.code, ended.stderr


def test_sigterm_with_a_dead_collector_ends_in_time():
    """SIGTERM with nobody listening ends at once, by the signal, with one line about what waits on disk."""
    with Sink("refuse") as sink, Program(WAITING, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

    assert -signal.SIGTERM == ended.code
    assert ended.seconds < 4
    assert any("not delivered" in line for line in ended.stderr.splitlines())


FIRST_PROCESS = """
import otelkit, os, sys
otelkit.init(service_name="shop")
with otelkit.span("before"): pass
print(os.getpid(), flush=True)
sys.stdin.readline()
with otelkit.span("after"): pass
print("went on", otelkit.flush(30), flush=True)
"""
IN_A_NAMESPACE = f"""
import ctypes, signal, subprocess, sys
CLONE_NEWPID = 0x20000000
if ctypes.CDLL(None).unshare(CLONE_NEWPID) != 0:
    sys.exit("the kernel grants no PID namespace")
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
with subprocess.Popen([sys.executable, "-c", {FIRST_PROCESS!r}], **pipes) as child:
    print(child.stdout.readline(), flush=True)
    child.send_signal(signal.SIGTERM)
    print(child.communicate("go")[0], child.returncode, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PID namespaces")
def test_process_1_of_a_container_goes_on_after_sigterm():
    """The kernel ignores the default action there; so the telemetry of what follows is delivered, too."""
    with Sink() as sink:
        ended = run(IN_A_NAMESPACE, env=environment(sink))
        if "grants no PID namespace" in ended.stderr:
            pytest.skip("the kernel grants this user no PID namespace")

        assert ["1", "went", "on", "True", "0"] == ended.stdout.split(), ended.stderr
        assert ["before", "after"] == [span.name for span in sink.spans]


HANGING_DISK = """
import os, threading, time, otelkit
hung = threading.Event()
pwrite = os.pwrite
def hang(number, data, offset):
    if hung.is_set():
        time.sleep(60)
    return pwrite(number, data, offset)
os.pwrite = hang
runtime = otelkit.init(service_name="shop")
with otelkit.span("kept"): pass
otelkit.flush(5)
hung.set()
with otelkit.span("in memory"): pass
print("ready", flush=True)
"""


@pytest.mark.parametrize("stopped", [True, False])
def test_a_disk_that_hangs_does_not_hold_up_the_end(stopped):
    """Neither atexit nor SIGTERM waits for it longer than for a receiver that hangs; what waits is said."""
    waiting = "time.sleep(60)" if stopped else ""
    with Sink("refuse") as sink, Program(HANGING_DISK + waiting, env=environment(sink)) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM) if stopped else program.wait(timeout_s=30)

    assert (-signal.SIGTERM if stopped else 0) == ended.code
    assert ended.seconds < 30
    assert "not delivered" in ended.stderr


def test_only_signals_with_an_endpoint_are_kept_on_disk(tmp_path):
    """With an endpoint of the traces alone, what the others would send to localhost never fills a disk."""
    with Sink("refuse") as sink:
        endpoint = f"{sink.http_endpoint}/v1/traces"
        answer = answer_of(
            run(
                SHUTDOWN,
                env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTELKIT_SPOOL_DIR": str(tmp_path)},
            )
        )

    assert {"traces": 600, "logs": 0, "metrics": 0} == answer["spooled"]
    assert 600 == answer["created"]["logs"]
    assert {"traces"} == {file.name.split("-")[1] for file in tmp_path.rglob("*.otlp")}


FORKING = """
import multiprocessing, os, otelkit, sys
def work(n):
    with otelkit.span("child"):
        otelkit.get_meter("m").create_counter("n").add(1)
        otelkit.get_logger().info("child line")
if __name__ == "__main__":
    otelkit.init(service_name="shop")
    otelkit.get_meter("m").create_counter("n").add(10)
    with otelkit.span("parent"):
        children = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(3)]
        for child in children: child.start()
        for child in children: child.join()
    assert [0, 0, 0] == [child.exitcode for child in children]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_multiprocessing_children_lose_nothing_and_count_from_zero():
    """Each forked child delivers its own data once; sums over all processes are exact."""
    with Sink() as sink:
        ended = run(FORKING, env=environment(sink))

        assert 0 == ended.code, ended.stderr
        names = sorted(span.name for span in sink.spans)
        assert ["child"] * 3 + ["parent"] == names
        assert 3 == len([record for record in sink.logs if record.body == "child line"])
        last = {
            point.resource["service.instance.id"]: point.value for point in sink.metrics if point.name == "n"
        }
        assert [1, 1, 1, 10] == sorted(last.values())
        assert 4 == len({span.resource["service.instance.id"] for span in sink.spans})


LATE = """
import multiprocessing, otelkit, sys
def begin():
    otelkit.init(service_name="shop")
def work(n):
    with otelkit.span("work"):
        otelkit.get_meter("m").create_counter("n").add(1)
        otelkit.get_logger().info("line")
    return n
def all_of_it():
    begin()
    work(0)
if __name__ == "__main__":
    method, way = sys.argv[1:]
    context = multiprocessing.get_context(method)
    if way == "ended before":
        begin()
        otelkit.shutdown()
    if way == "pool":
        with context.Pool(2, initializer=begin) as pool:
            pool.map(work, range(6), chunksize=1)
            pool.close()
            pool.join()
    else:
        children = [context.Process(target=all_of_it) for _ in range(6)]
        for child in children: child.start()
        for child in children: child.join()
        assert [0] * 6 == [child.exitcode for child in children]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
@pytest.mark.parametrize("way", ["process", "pool", "ended before"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_children_that_call_init_themselves_lose_nothing(tmp_path, method, way):
    """Whatever starts the child, and whether its parent has telemetry of its own or has had it."""
    program = tmp_path / "late.py"
    program.write_text(LATE)
    with Sink() as sink:
        ended = run([str(program), method, way], env=environment(sink), timeout_s=60)

        assert 0 == ended.code, ended.stderr
        assert 6 == len([span for span in sink.spans if span.name == "work"])
        assert 6 == len([record for record in sink.logs if record.body == "line"])
        last = {
            point.resource["service.instance.id"]: point.value for point in sink.metrics if point.name == "n"
        }
        assert 6 == sum(last.values())


def test_init_in_a_forked_child_is_defined():
    """A child that calls init again gets its own runtime and delivers; the parent goes on."""
    program = """
import os, otelkit, sys
first = otelkit.init(service_name="shop")
child = os.fork()
if child == 0:
    again = otelkit.init(service_name="shop")
    assert again is not first
    with otelkit.span("child"): pass
    ok = otelkit.shutdown()
    os._exit(0 if ok else 3)
assert os.waitpid(child, 0)[1] == 0
with otelkit.span("parent"): pass
"""
    with Sink() as sink:
        ended = run(program, env=environment(sink))

        assert 0 == ended.code, ended.stderr
        assert ["child", "parent"] == sorted(span.name for span in sink.spans)


def test_retired_runtime_delivers_what_was_open():
    """A span open during a second init is delivered by the runtime it began in, also at the end."""
    program = """
import otelkit
otelkit.init(service_name="first")
span = otelkit.span("open"); span.__enter__()
otelkit.init(service_name="second")
with otelkit.span("new"): pass
span.__exit__(None, None, None)
"""
    with Sink() as sink:
        ended = run(program, env=environment(sink))

        assert 0 == ended.code, ended.stderr
        assert {("open", "first"), ("new", "second")} == {
            (span.name, span.resource["service.name"]) for span in sink.spans
        }


AGAIN = """
import atexit, json, os, signal, sys, threading, time
import otelkit
later = []
atexit.register(lambda: [function() for function in later])  # after otelkit's
runtime = otelkit.init(service_name="shop")
def tell():
    print(json.dumps({name: [counts.created, counts.spooled, counts.lost, counts.in_flight]
                      for name, counts in runtime.stats().items()}), flush=True)
def ctrl_c_while_it_ends():
    while not runtime.ending:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
for number in range(600):
    with otelkit.span("s"): pass
threading.Thread(target=ctrl_c_while_it_ends, daemon=True).start()
"""
PATIENT = {"OTELKIT_SHUTDOWN_TIMEOUT_S": "20"}


@pytest.mark.parametrize("spool", ["always", "on_failure", "off"])
def test_ctrl_c_during_the_end_ends_at_once_and_loses_no_count(spool):
    """Ctrl-C while the rest is sent: no more waiting, all of it on disk or counted as lost, and said."""
    env = PATIENT | {"OTELKIT_SPOOL": spool}
    with Sink("hang") as sink:
        ended = run(AGAIN + "later.append(tell)", env=environment(sink) | env)
    told = answer_of(ended)

    assert ended.seconds < 10
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "not delivered" in line]
    assert ("lost: 600 spans" if spool == "off" else "next process: 600 spans") in line
    kept = [number for number, *_ in told.values()]
    assert kept == [found[2 if spool == "off" else 1] for found in told.values()]
    assert [0, 0, 0] == [found[3] for found in told.values()]


def test_ctrl_c_during_shutdown_reaches_the_caller():
    """The same at a call of `shutdown`: it raises KeyboardInterrupt soon, and everything is on disk."""
    text = """
begin = time.monotonic()
try:
    otelkit.shutdown()
except KeyboardInterrupt:
    print(time.monotonic() - begin < 5, otelkit.shutdown(), flush=True)
tell()
"""
    with Sink("hang") as sink:
        ended = run(AGAIN + text, env=environment(sink) | PATIENT)
    told = answer_of(ended)

    assert "True True" == ended.stdout.splitlines()[0]
    assert [[600, 600, 0, 0]] == [told["traces"]]


def test_sigterm_after_ctrl_c_during_the_end_ends_the_process():
    """Handlers of the application's that run at exit, later, are ended by SIGTERM as without otelkit."""
    text = "later.append(lambda: (print('late', flush=True), time.sleep(60)))"
    with Sink("hang") as sink, Program(AGAIN + text, env=environment(sink) | PATIENT) as program:
        program.wait_for_line("late")
        ended = program.stop(signal.SIGTERM)

        assert (-signal.SIGTERM, True) == (ended.code, ended.seconds < 5), ended.stderr


FEW_THREADS = """
import threading, otelkit
first = otelkit.init(service_name="first", prometheus_port=0)
with otelkit.span("first"): pass
start = threading.Thread.start
def refuse(thread):
    if thread.name in NAMES:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refuse
second = otelkit.init(service_name="second", prometheus_port=0)
with otelkit.span("second"): pass
threading.Thread.start = start
print(first is second, second.prometheus_port is not None, otelkit.flush(), flush=True)
"""


@pytest.mark.parametrize(("name", "same"), [("otelkit-courier", True), ("otelkit-retired", False)])
def test_init_where_no_thread_can_be_started(name, same):
    """At the limit of threads another init raises nothing and loses nothing; one of the two runtimes runs."""
    program = FEW_THREADS.replace("NAMES", repr([name]))
    with Sink() as sink:
        ended = run(program, env=environment(sink) | {"OTELKIT_RERAISE": None})

        assert (0, f"{same} True True\n") == (ended.code, ended.stdout), ended.stderr
        assert ["first", "second"] == sorted(span.name for span in sink.spans)


FULL = """
import fcntl, os, sys, time
into = os.pipe()[1]
os.set_blocking(into, False)
for size in (4096, 1):
    try:
        while True: os.write(into, b"x" * size)
    except BlockingIOError: pass
os.set_blocking(into, True)
os.dup2(into, 2)
import otelkit
otelkit.init(service_name="shop", spool="off")
with otelkit.span("s"): pass
otelkit.shutdown()
"""


def test_a_stderr_that_nobody_reads_holds_up_nothing():
    """Where stderr is a full pipe, shutdown leaves its line unsaid and ends in time."""
    with Sink("refuse") as sink:
        ended = run(FULL, env=environment(sink))

    assert (0, True) == (ended.code, ended.seconds < 10)


FROZEN = (
    TOLD
    + """
real, standing = time.monotonic, lambda: 1e9
# As freezegun does it, which leaves `threading` alone.
for module in {*sys.modules.values()} - {sys.modules["__main__"], sys.modules["threading"]}:
    for name, value in list(vars(module).items()):
        if value is real:
            setattr(module, name, standing)
begin = real()
print(otelkit.flush(timeout_s=0.3), otelkit.shutdown(timeout_s=0.5), flush=True)
assert real() - begin < 5, real() - begin
"""
)


@pytest.mark.parametrize("behaviour", ["ok", "hang"])
def test_the_end_comes_under_a_frozen_clock(behaviour):
    """In a test that has frozen the time, flush and shutdown keep their deadlines."""
    with Sink(behaviour) as sink:
        ended = run(FROZEN, env=environment(sink))

    told = ended.stdout.splitlines()[-1:]
    assert (0, [f"{behaviour == 'ok'} {behaviour == 'ok'}"]) == (ended.code, told), ended.stderr
