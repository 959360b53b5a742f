import os
import threading
import time
from collections import deque

import pytest
from rooms import OK, RETRY, Exit, Scripted, Watched, balanced, names, negative, parcel

from otelkit.delivery.courier import Courier, Lane
from otelkit.delivery.depot import Depot
from otelkit.delivery.dispatch import Dispatch
from otelkit.delivery.guests import Guests
from otelkit.delivery.line import Breaker, Line
from otelkit.delivery.puller import Puller
from otelkit.delivery.queue import Memory, Queue
from otelkit.delivery.sender import Sender
from otelkit.delivery.transport import Answer
from otelkit.wire import Encoded


class House:
    """All rooms of delivery, as `otelkit.pipeline.assemble` puts them together."""

    def __init__(
        self,
        *,
        exits=(),
        others=(),
        otlp=True,
        collect=None,
        delay_s=60.0,
        prepare=str,
        guessed=(),
        **options,
    ):
        self.memory = Memory(options.pop("limit", 1 << 20))
        self.queues = {signal: self._queue() for signal in ("traces", "logs", "metrics")}
        ledgers = {signal: queue.ledger for signal, queue in self.queues.items()}
        self.transport = Scripted(*options.pop("answers", ()), deaf=options.pop("deaf", False))
        self.exits, self.depot, self.sender = exits, None, None
        if otlp:
            self.depot = Depot(ledgers=ledgers, memory=self.memory, **options)
            shared = {"transport": self.transport, "receiver": Breaker(), "delay_s": delay_s, "timeout_s": 10}
            lines = [Line(signal=signal, **shared) for signal in ("traces", "metrics")]
            for line in lines:
                line.fresh = False
            self.sender = Sender(lines=lines, depot=self.depot, on_loss=lambda: self.dispatch.say_losses())
            self.depot.failing = lambda: self.sender.failing
        guests = Guests(
            max_bytes=self.memory.limit, others=others, on_loss=lambda: self.dispatch.say_losses()
        )
        ledger = None if otlp else ledgers["traces"]
        lane = Lane(
            signal="traces",
            queue=self.queues["traces"],
            prepare=prepare,
            encode=(lambda items: Encoded(parcel(*items).body, len(items))) if otlp else None,
            outlet=guests.outlet(exits, ledger=ledger) if exits else None,
        )
        self.courier = Courier(
            lanes=[lane],
            depot=self.depot,
            memory=self.memory,
            stored=self.sender.stored if self.sender else bool,
        )
        self.puller = None
        if collect is not None:
            self.puller = Puller(
                collect=collect,
                encode=lambda data: Encoded(parcel(data).body, 1),
                outlet=None,
                ledger=ledgers["metrics"],
                add=self.courier.add,
                interval_s=600.0,
            )
        self.guests = guests
        self.dispatch = Dispatch(
            queues=self.queues,
            courier=self.courier,
            guests=guests,
            puller=self.puller,
            depot=self.depot,
            sender=self.sender,
            where=lambda signals: f"the test of {' and '.join(signals)}",
            guessed=guessed,
        )

    def _queue(self):
        queue = Queue(
            memory=self.memory,
            size_of=lambda _: 100,
            batch_size=10,
            begun=lambda: self.courier.begun(),
            wake=lambda: self.courier.hurry(),
        )
        queue.ledger = Watched()
        return queue

    def put(self, *items):
        return [self.queues["traces"].put(item) for item in items]

    def counts(self, signal="traces"):
        return self.dispatch.counts()[signal]

    def sent(self):
        return [name for body in self.transport.bodies for name in names(body)]


@pytest.fixture
def house():
    houses = []

    def make(*, start=True, **options):
        made = House(**options)
        if start:
            made.dispatch.start()
        houses.append(made)
        return made

    yield make
    for made in houses:
        made.transport.open.set()
        made.transport.answers = deque([OK])
        for exit_ in made.exits:
            exit_.open.set()
        made.dispatch.close(timeout_s=5)
        for queue in made.queues.values():
            assert [] == queue.ledger.unbalanced
            assert balanced(queue.counts())
            assert [] == negative(queue.counts())


@pytest.fixture
def gate():
    """Something that blocks until the test ends."""
    gate = threading.Event()
    yield gate
    gate.set()


def took(function):
    begin = time.monotonic()
    answer = function()
    return answer, time.monotonic() - begin


# -- flush ----------------------------------------------------------------------------------------------


def test_flush_delivers_everything_before_it(house):
    """A flush sends what was accepted before it and says that all of it arrived."""
    made = house()
    made.put(*"abcde")

    assert made.dispatch.flush(timeout_s=5) is True
    assert (list("abcde"), 5) == (made.sent(), made.counts().delivered)


def test_flush_collects_the_metrics_of_now(house):
    """A flush asks for the metrics too, and they arrive with it."""
    made = house(collect=lambda: ("m", 1))

    assert made.dispatch.flush(timeout_s=5) is True
    assert (["m"], 1) == (made.sent(), made.counts("metrics").delivered)


def test_flush_says_no_when_something_was_lost(house):
    """A receiver that refuses makes a flush no success."""
    made = house(answers=[Answer(kind="refused", message="401 Unauthorized")])
    made.put("a")

    assert made.dispatch.flush(timeout_s=5) is False
    assert 1 == made.counts().rejected


def test_flush_keeps_its_deadline_while_the_receiver_hangs(house):
    """A silent receiver does not hold up a flush."""
    made = house()
    made.transport.open.clear()
    made.put("a")
    answer, seconds = took(lambda: made.dispatch.flush(timeout_s=0.2))

    assert (False, True) == (answer, seconds < 3)


def test_flush_keeps_its_deadline_while_an_exporter_hangs(house):
    """The user's exporter blocks: the flush says no in time, and OTLP went out all the same."""
    exit_ = Exit()
    exit_.open.clear()
    made = house(exits=[exit_])
    made.put("a")
    made.courier.wait(made.courier.ask(), deadline=time.monotonic() + 5)
    assert exit_.entered.wait(5)
    answer, seconds = took(lambda: made.dispatch.flush(timeout_s=0.2))

    assert (False, True, ["a"]) == (answer, seconds < 3, made.sent())


def test_flush_keeps_its_deadline_while_a_callback_hangs(house, gate):
    """The application's observed instrument blocks: the flush says no in time."""
    made = house(collect=lambda: (gate.wait(10), 0))
    answer, seconds = took(lambda: made.dispatch.flush(timeout_s=0.2))

    assert (False, True) == (answer, seconds < 3)


def test_flush_before_the_start_and_after_the_end_is_a_no(house):
    """Without threads nothing can be sent."""
    made = house(start=False)
    assert (True, False) == (made.dispatch.ended, made.dispatch.flush(timeout_s=5))
    made.dispatch.start()
    made.dispatch.close(timeout_s=5)

    assert (True, False) == (made.dispatch.ended, made.dispatch.flush(timeout_s=5))


def test_flush_waits_for_the_exporter(house):
    """When a flush says yes, the user's exporter has had its turn with everything before it."""

    class Other:
        idle = False
        flushed = threading.Event()

        def flush(self, *, timeout_s):
            self.flushed.set()
            return True

        def close(self, *, timeout_s):
            pass

    exit_ = Exit()
    exit_.open.clear()  # it takes its time

    def prepare(item):  # so does the courier: the guests have answered by then
        Other.flushed.wait(0.5)
        guests_idle = made.guests.wait(made.guests._worker._asked, deadline=time.monotonic() + 0.5)
        return item if guests_idle else item

    made = house(exits=[exit_], others=[Other()], otlp=False, prepare=prepare)
    made.put("a")

    assert made.dispatch.flush(timeout_s=1.5) is False


# -- close ----------------------------------------------------------------------------------------------


def test_close_delivers_the_rest_and_ends(house):
    """What waits arrives, the metrics of the end too, exits are closed and no thread is left."""
    exit_ = Exit()
    made = house(exits=[exit_], collect=lambda: ("m", 1))
    made.put("a", "b")

    assert made.dispatch.close(timeout_s=5) is True
    assert (["a", "b", "m"], [["a", "b"]], 1) == (sorted(made.sent()), exit_.batches, exit_.closed)
    assert (True, True, 2) == (made.dispatch.ended, made.dispatch.released, made.transport.closed)


def test_items_after_close_are_counted(house):
    """What comes after the end is dropped and counted, without an error."""
    made = house()
    made.dispatch.close(timeout_s=5)

    assert [False] == made.put("a")
    assert {"shutdown": 1} == made.counts().dropped


def test_close_in_memory_keeps_its_deadline_and_counts(house, said):
    """A silent receiver and no disk: in time, what was not sent is lost, and said once."""
    made = house()
    made.transport.open.clear()
    made.put("a", "b")
    answer, seconds = took(lambda: made.dispatch.close(timeout_s=0.4))

    assert (False, True, {"shutdown": 2}) == (answer, seconds < 3, made.counts().dropped)
    (line,) = said()
    assert "not delivered to the test of traces at the end, lost: 2 spans (shutdown 2)" in line


def test_close_with_a_disk_keeps_everything(house, disk, said):
    """A silent receiver and a spool: nothing is lost, and where it is is said."""
    made = house(spool=disk())
    made.transport.open.clear()
    made.put("a", "b")
    answer, seconds = took(lambda: made.dispatch.close(timeout_s=0.4))

    assert (False, True, {}, 2) == (answer, seconds < 3, made.counts().dropped, made.counts().spooled)
    (line,) = said()
    assert "kept on disk for the next process: 2 spans" in line


def test_the_next_process_sends_what_was_kept(house, disk):
    """What one runtime could not send leaves with the next one of the same identity."""
    made = house(spool=disk(), answers=[RETRY])
    made.put("a", "b")
    assert made.dispatch.close(timeout_s=0.5) is False
    heir = house(spool=disk())
    heir.courier.wait(heir.courier.ask(), deadline=time.monotonic() + 5)

    assert heir.transport.entered.wait(5)
    assert heir.dispatch.close(timeout_s=5) is True
    assert (["a", "b"], 2, 2) == (heir.sent(), heir.counts().adopted, heir.counts().delivered)


def test_close_in_a_hurry_does_not_wait_for_a_silent_receiver(house, disk):
    """Stopped from outside, with all on disk, it ends long before its time is over."""
    made = house(spool=disk())
    made.transport.open.clear()
    made.put("a")
    answer, seconds = took(lambda: made.dispatch.close(timeout_s=30, hurry=True))

    assert (False, True, 1) == (answer, seconds < 10, made.counts().spooled)


def test_close_in_a_hurry_uses_its_time_for_memory(house):
    """What nobody keeps is tried even then."""
    made = house(answers=[RETRY, RETRY, RETRY, RETRY, OK])
    made.put("a")

    assert made.dispatch.close(timeout_s=10, hurry=True) is True


def test_close_keeps_its_deadline_while_an_exporter_hangs(house):
    """The user's exporter blocks: the end is in time, and it was told."""
    exit_ = Exit()
    exit_.open.clear()
    made = house(exits=[exit_], otlp=False)
    made.put("a")
    made.courier.wait(made.courier.ask(), deadline=time.monotonic() + 5)
    assert exit_.entered.wait(5)
    answer, seconds = took(lambda: made.dispatch.close(timeout_s=0.3))

    assert (False, True, 1) == (answer, seconds < 3, made.counts().in_flight)
    assert exit_.interrupted.is_set()


def test_close_keeps_its_deadline_while_the_transport_is_deaf(house, disk):
    """Even a transport that breaks its contract does not hold up the end; nothing is lost."""
    made = house(spool=disk(), deaf=True)
    made.transport.open.clear()
    made.put("a")
    answer, seconds = took(lambda: made.dispatch.close(timeout_s=0.3))

    assert (False, True, 0) == (answer, seconds < 3, made.counts().lost)


def test_two_threads_may_close(house):
    """The second one waits for the first, and nothing is ended twice."""
    exit_ = Exit()
    made = house(exits=[exit_])
    made.put("a")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(made.dispatch.close(timeout_s=5))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([True, True], 1, 2) == (answers, exit_.closed, made.transport.closed)


def test_a_second_close_gives_the_same_answer(house):
    """What was lost at the end is not delivered when asked again."""
    made = house(answers=[RETRY])
    made.put("a")

    assert [False, False] == [made.dispatch.close(timeout_s=0.2) for _ in range(2)]


def test_a_hanging_callback_does_not_cost_the_spans(house, gate):
    """At the end an observed instrument of the application's blocks: spans leave all the same."""
    made = house(collect=lambda: (gate.wait(10), 0))
    made.put("a")
    made.dispatch.close(timeout_s=0.4)

    assert (["a"], {}) == (made.sent(), made.counts().dropped)


def test_what_comes_during_the_end_is_kept_on_disk(house, disk):
    """With a spool nothing that was accepted before the end is lost, however late it came."""
    made = house(spool=disk(), answers=[RETRY])
    queue = made.queues["traces"]
    shut = queue.shut
    queue.shut = lambda: (setattr(queue, "shut", shut), queue.put("late"), shut())
    made.put("a")
    made.dispatch.close(timeout_s=0.3)

    assert ({}, 2) == (made.counts().dropped, made.counts().spooled)


@pytest.mark.parametrize("always", [True, False])
def test_a_disk_that_hangs_does_not_hold_up_the_end(house, disk, gate, always):
    """Only the courier's thread waits for the disk; the end has its deadline, and the books add up."""
    spool = disk()
    made = house(spool=spool, always=always, deaf=True)
    made.transport.open.clear()
    append = spool.append
    spool.append = lambda parcels: (gate.wait(30), append(parcels))
    made.put("a", "b")

    assert made.dispatch.close(timeout_s=0.3) is False
    assert not gate.is_set()
    gate.set()
    made.courier.stop(deadline=time.monotonic() + 5)
    assert 2 == made.counts().spooled


def test_what_is_measured_during_the_end_is_collected(house, disk, gate):
    """While spans come, metrics are collected once more after the wait for the receiver."""
    collected = []

    def collect():
        collected.append(f"m{len(collected)}")
        return collected[-1], 1

    made = house(spool=disk(), answers=[RETRY], collect=collect)
    made.put("a")
    drain = made.sender.drain
    made.sender.drain = lambda **given: (made.put("late"), drain(**given))[1]
    made.dispatch.close(timeout_s=2)

    assert (["m0", "m1"], 2, 2) == (collected, made.counts().spooled, made.counts("metrics").spooled)


def test_what_the_courier_had_in_hand_at_the_end_is_counted(house, gate):
    """A batch that was being packed when the time was over is lost under ``shutdown``."""
    entered = threading.Event()

    def prepare(item):
        entered.set()
        gate.wait(10)
        return item

    made = house(prepare=prepare)
    made.put("a")
    assert entered.wait(5)
    made.dispatch.close(timeout_s=0.2)
    gate.set()
    made.courier.stop(deadline=time.monotonic() + 5)

    assert {"shutdown": 1} == made.counts().dropped


def test_metrics_that_are_collected_after_the_end_are_counted(house, gate):
    """A callback that comes back after the end leaves nothing in flight, and nothing waiting."""
    made = house(collect=lambda: (gate.wait(10) and "m", 1))
    made.dispatch.close(timeout_s=0.2)
    gate.set()
    made.puller.stop(deadline=time.monotonic() + 5)
    made.courier.stop(deadline=time.monotonic() + 5)

    counts = made.counts("metrics")
    assert (0, 0) == (counts.in_flight, counts.queued)


def test_what_is_on_disk_is_not_said_to_be_lost(house, disk, said):
    """A load that is stuck in a request when the time is over is in the spool, and said so."""
    made = house(spool=disk(), deaf=True)
    made.transport.open.clear()
    made.put("a")
    made.dispatch.close(timeout_s=0.3)

    assert not [line for line in said() if "lost: 1 span" in line]


@pytest.mark.parametrize("timeout_s", [float("inf"), 1e12])
def test_any_time_is_a_time(house, timeout_s):
    """Who wants to wait as long as it takes may say so."""
    made = house()
    made.put("a")

    assert made.dispatch.flush(timeout_s=timeout_s) is True
    assert made.dispatch.close(timeout_s=timeout_s) is True


def test_a_hanging_exporter_does_not_hold_more_than_the_memory(house):
    """What waits for the user's exporter is within ``queue_max_bytes`` like everything else."""
    exit_ = Exit()
    exit_.open.clear()
    made = house(exits=[exit_], otlp=False, limit=100_000)
    for _ in range(10):
        made.put(*["a"] * 200)
        made.courier.wait(made.courier.ask(), deadline=time.monotonic() + 5)

    assert made.counts().in_flight <= 1_020  # items of 100 bytes, and a batch with the exit
    exit_.open.set()


# -- interrupted ----------------------------------------------------------------------------------------


def interrupt(*_, **__):
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_ctrl_c_while_it_sends_leaves_all_on_disk(house, disk, said):
    """A close that is interrupted writes everything to disk, says so, and ends; then Ctrl-C is raised."""
    made = house(spool=disk(), always=False, deaf=True)
    made.transport.open.clear()
    made.put("a", "b")
    made.sender.drain = interrupt
    with pytest.raises(KeyboardInterrupt):
        made.dispatch.close(timeout_s=60)

    assert (2, 0, True) == (made.counts().spooled, made.counts().in_flight, made.dispatch._closed)
    (line,) = said()
    assert "kept on disk for the next process: 2 spans" in line


def test_ctrl_c_without_a_disk_counts_what_is_lost(house, said):
    """In memory only, what an interrupted close could not send is counted and said."""
    made = house()
    made.put("a", "b")
    made.sender.drain = interrupt
    with pytest.raises(KeyboardInterrupt):
        made.dispatch.close(timeout_s=60)

    assert ({"shutdown": 2}, 0, True) == (
        made.counts().dropped,
        made.counts().in_flight,
        made.dispatch.ended,
    )
    (line,) = said()
    assert "lost: 2 spans (shutdown 2)" in line


def test_ctrl_c_before_all_is_packed_loses_nothing(house, disk):
    """The courier still lays down what it has in hand when the wait for it is interrupted."""
    made = house(spool=disk(), answers=[RETRY])
    made.courier.wait = interrupt
    made.put(*"abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(KeyboardInterrupt):
        made.dispatch.close(timeout_s=60)

    assert ({}, 26) == (made.counts().dropped, made.counts().spooled)


@pytest.mark.parametrize("step", ["rescue", "close"])
def test_ctrl_c_while_it_writes_loses_nothing(house, disk, step):
    """On the closing thread, where the courier's has died: what is being written then is written once more."""
    spool = disk()
    made = house(spool=spool, always=False, deaf=True)
    made.transport.open.clear()
    made.courier._worker._end = None
    made.courier._worker.stop(deadline=time.monotonic() + 5)
    made.put("a", "b")
    append, interruptions = spool.append, [interrupt]
    spool.append = lambda parcels: interruptions.pop()() if interruptions else append(parcels)
    if step == "close":
        made.depot.rescue = lambda: delattr(made.depot, "rescue")
    with pytest.raises(KeyboardInterrupt):
        made.dispatch.close(timeout_s=0.5)

    assert [] == interruptions
    assert ({}, 2, 0) == (made.counts().dropped, made.counts().spooled, made.counts().queued)


@pytest.mark.parametrize("where", ["sender.close", "courier.close", "puller.stop", "guests.close"])
def test_ctrl_c_at_one_step_of_the_end_is_none_at_the_others(house, disk, where):
    """Whichever room it comes at, the others are let go of, within a moment."""
    made = house(spool=disk(), answers=[RETRY], collect=lambda: (None, 0))
    room, step = where.split(".")
    end = getattr(getattr(made, room), step)
    setattr(getattr(made, room), step, lambda **given: (end(**given), interrupt()))
    made.put("a")
    with pytest.raises(KeyboardInterrupt):
        made.dispatch.close(timeout_s=0.3)

    assert (True, 1, 0) == (made.dispatch.ended, made.counts().spooled, made.counts().in_flight)


# -- threads that die, or cannot be started -------------------------------------------------------------


def test_what_a_dead_courier_left_is_delivered_at_the_end(house):
    """A courier that has died costs nothing that waits for it, when the runtime is closed."""
    made = house()
    made.courier._worker._end = None
    made.courier._worker.stop(deadline=time.monotonic() + 5)
    made.put(*"abc")
    made.dispatch.close(timeout_s=5)

    assert (list("abc"), 3) == (made.sent(), made.counts().delivered)


@pytest.fixture
def no_thread(monkeypatch):
    """Lets no thread of some name be started any more."""
    start = threading.Thread.start

    def forbid(name):
        def refuse(thread):
            if thread.name == name:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)

    return forbid


@pytest.mark.parametrize("name", ["otelkit-guests", "otelkit-courier", "otelkit-metrics", "otelkit-sender"])
def test_it_starts_whole_or_not_at_all(house, no_thread, name):
    """When a thread cannot be started the others are ended."""
    made = house(start=False, exits=[Exit()], collect=lambda: (None, 0))
    no_thread(name)
    with pytest.raises(RuntimeError):
        made.dispatch.start()

    assert [] == [thread for thread in threading.enumerate() if thread.name.startswith("otelkit")]


def test_without_a_thread_a_retired_runtime_ends_at_once(house, no_thread):
    """Where nobody can wait for its open spans it delivers what it has, and nothing is raised."""
    made = house()
    made.put("a")
    no_thread("otelkit-retired")
    made.dispatch.retire(still_open=lambda: True, linger_s=600, timeout_s=5)

    assert (True, ["a"]) == (made.dispatch.ended, made.sent())


# -- retirement, fork -----------------------------------------------------------------------------------


def test_a_retired_runtime_waits_for_its_open_spans(house, monkeypatch):
    """It goes on until nothing is open, delivers that, and ends by itself."""
    monkeypatch.setattr("otelkit.delivery.dispatch._RETIRED_GRACE_S", 0.0)
    monkeypatch.setattr("otelkit.delivery.dispatch._RETIRED_TICK_S", 0.005)
    still_open, asked = [True], threading.Event()

    def open_():
        asked.set()
        return bool(still_open)

    made = house()
    made.dispatch.retire(still_open=open_, linger_s=60, timeout_s=5)
    assert asked.wait(5)
    assert made.dispatch.ended is False
    made.put("a")
    still_open.clear()
    join("otelkit-retired")

    assert (True, ["a"]) == (made.dispatch.ended, made.sent())


def test_a_retired_runtime_does_not_linger_for_ever(house, monkeypatch):
    """A span that never ends does not keep it."""
    monkeypatch.setattr("otelkit.delivery.dispatch._RETIRED_TICK_S", 0.005)
    made = house()
    made.dispatch.retire(still_open=lambda: True, linger_s=0.02, timeout_s=5)
    join("otelkit-retired")

    assert made.dispatch.ended is True


def test_the_end_of_the_process_ends_a_retirement(house):
    """What is still open then is not waited for."""
    made = house()
    made.dispatch.retire(still_open=lambda: True, linger_s=600, timeout_s=5)
    made.put("a")
    made.dispatch.end_retirement(timeout_s=5)
    join("otelkit-retired")

    assert (True, ["a"]) == (made.dispatch.ended, made.sent())


def join(name):
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)
            assert not thread.is_alive()


def test_a_forks_child_lets_go(house, disk):
    """The child takes, sends and deletes nothing of its parent's; the parent goes on."""
    made = house(spool=disk(), answers=[RETRY])
    made.put("a")
    made.dispatch.flush(timeout_s=1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            made.dispatch.forget()
            refused = made.put("b") == [False]
            ended = made.dispatch.ended and made.dispatch.flush(timeout_s=5) is False
            closed = made.dispatch.close(timeout_s=5) is True
            status = 0 if refused and ended and closed and not made.counts().spooled else 2
        finally:
            os._exit(status)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    made.transport.answers = deque([OK])
    assert made.dispatch.flush(timeout_s=5) is True
    assert {"a"} == set(made.sent())


# -- what is said ---------------------------------------------------------------------------------------


def test_losses_are_said_when_they_happen(house, said):
    """A refusal is said in one line with the reason; a second one within the minute is not."""
    made = house(answers=[Answer(kind="refused", message="HTTP 401 Unauthorized.")])
    for item in "ab":
        made.put(item)
        made.dispatch.flush(timeout_s=5)

    (line,) = said()
    assert "not delivered to the test of traces so far, lost: 1 span (rejected 1)" in line
    assert "The last answer was: HTTP 401 Unauthorized. Check" in line


def test_a_guess_is_said_once(house, said):
    """Where nobody gave an endpoint, one line is enough for the whole life."""
    made = house(answers=[Answer(kind="refused")], guessed=("traces", "logs", "metrics"))
    made.put("a")
    made.dispatch.flush(timeout_s=5)
    made.put("b")
    made.dispatch.close(timeout_s=5)

    assert 1 == len(said())


def test_what_a_guess_has_lost_is_not_said_with_the_rest(house, said):
    """That nobody listens on localhost is said elsewhere; a receiver that somebody named has its own line."""
    made = house(answers=[Answer(kind="refused")], guessed=("metrics",))
    made.queues["metrics"].ledger.take(5)
    made.queues["metrics"].ledger.settle(dropped=5, reason="export_failed")
    made.dispatch.say_losses()
    assert [] == said()
    made.put("a")
    made.dispatch.flush(timeout_s=5)
    made.put("b")
    made.dispatch.close(timeout_s=5)

    so_far, final = said()
    assert "so far, lost: 1 span (rejected 1)" in so_far
    assert "at the end, lost: 2 spans (rejected 2)" in final
    assert "metric" not in so_far + final


def test_a_good_end_is_silent(house, said):
    """Nothing lost, nothing said."""
    made = house()
    made.put("a")
    made.dispatch.close(timeout_s=5)

    assert [] == said()
