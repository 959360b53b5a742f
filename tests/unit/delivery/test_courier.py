import signal
import threading
import time
from asyncio import CancelledError
from collections import deque
from itertools import count

import pytest
from rooms import Exit, Watched, balanced, names, negative, parcel

from otelkit import _guard
from otelkit.delivery.courier import Courier, Lane
from otelkit.delivery.depot import Depot
from otelkit.delivery.guests import Outlet
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.queue import Memory, Queue
from otelkit.processors.context import suppressed
from otelkit.wire import Encoded


def encode(items):
    return Encoded(parcel(*items).body, len(items))


def soon(seconds=5.0):
    return time.monotonic() + seconds


class Room:
    """A courier with one lane, its queue, and a depot in memory."""

    def __init__(self, *, limit=1 << 20, size=1, batch_size=100, helps=True, **lane):
        self.memory = Memory(limit)
        self.queue = Queue(
            memory=self.memory,
            size_of=size if callable(size) else lambda _: size,
            batch_size=batch_size,
            begun=lambda: self.courier.begun(),
            wake=lambda: self.courier.hurry(),
            relieve=(lambda queue: self.courier.help(queue)) if helps else None,
        )
        self.ledger = self.queue.ledger = Watched()
        self.depot = Depot(ledgers={"traces": self.ledger, "metrics": Watched()}, memory=self.memory)
        lane = {"prepare": str.lower, "encode": encode, **lane}
        self.stored = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.courier = Courier(
            lanes=[Lane(signal="traces", queue=self.queue, **lane)],
            depot=self.depot,
            memory=self.memory,
            stored=self.stored_now,
        )

    def stored_now(self, signals):
        self.stored.set()
        self.open.wait(10)

    def hold(self):
        """Let the courier's thread hang, as a slow disk does, until `open` is set."""
        self.open.clear()
        self.courier.add(Parcel("metrics", 0, b"", 0))
        assert self.stored.wait(5)

    def flush(self):
        return self.courier.wait(self.courier.ask(), deadline=soon())

    def kept(self):
        """The texts of the items in the depot."""
        load = self.depot.take("traces", backlog=False, max_bytes=1 << 30)
        return [] if load is None else names(b"".join(one.body for one in load.parcels))


@pytest.fixture
def room():
    rooms = []

    def make(*, start=True, **options):
        room = Room(**options)
        if start:
            room.courier.start()
        rooms.append(room)
        return room

    yield make
    for room in rooms:
        room.open.set()
        room.courier.stop(deadline=soon())
        assert [] == room.ledger.unbalanced
        assert balanced(room.queue.counts())
        assert [] == negative(room.queue.counts())


def test_asked_it_puts_everything_away(room):
    """What was accepted before is prepared, packed and in the depot, in order."""
    made = room(batch_size=2)
    for name in "ABCDE":
        made.queue.put(name)

    assert made.flush() is True
    assert (5, 0) == (made.queue.counts().queued, made.queue.counts().in_flight)
    assert list("abcde") == made.kept()


def test_an_item_is_put_away_by_itself(room):
    """One item leaves the queue without being asked for."""
    made = room()
    made.queue.put("A")

    assert made.stored.wait(5)
    assert ["a"] == made.kept()


def test_a_full_batch_leaves_at_once(room, monkeypatch):
    """A full batch does not wait for the tick."""
    monkeypatch.setattr("otelkit.delivery.courier.TICK_S", 600.0)
    made = room(batch_size=2)
    made.queue.put("A")
    made.queue.put("B")

    assert made.stored.wait(5)


def test_an_item_that_came_while_the_queue_was_emptied_is_packed(room):
    """No other put is needed for an item that comes while the one before it is packed."""
    late = threading.Event()

    def prepare(item):
        if item == "A":
            made.queue.put("B")
        else:
            late.set()
        return item

    made = room(prepare=prepare)
    made.queue.put("A")

    assert late.wait(5)


def test_an_item_that_was_long_on_its_way_is_packed(room):
    """An item that comes into a queue emptied meanwhile is told to the sleeping courier."""
    sleeps = []

    def size(item):
        if item == "B":  # meanwhile the courier takes A, finds nothing more, and sleeps
            made.courier._round(asked=True)
            sleeps.append(made.courier._round(asked=True))
        return 1

    made = room(start=False, size=size)
    made.queue.put("A")
    made.courier._worker._bell.wait(0)
    made.queue.put("B")

    assert [None] == sleeps
    assert made.courier._worker._bell.wait(0) is True


def test_the_thread_makes_no_telemetry_and_is_not_the_callers(room):
    """Redaction and encoding run in the background, with telemetry suppressed."""
    seen = []
    made = room(prepare=lambda _: seen.append((suppressed(), threading.current_thread().name)) or "a")
    made.queue.put("A")
    made.flush()

    assert [(True, "otelkit-courier")] == seen


# -- help -----------------------------------------------------------------------------------------


def test_the_caller_helps_when_memory_is_used_up(room):
    """With the courier busy and the memory full, the caller packs a batch, without telemetry; nothing is lost."""
    seen = set()

    def prepare(item):
        seen.add((suppressed(), threading.current_thread().name))
        return item

    made = room(limit=10_000, size=1_000, prepare=prepare, batch_size=5)
    made.hold()
    accepted = [made.queue.put("A") for _ in range(20)]

    assert accepted == [True] * 20
    assert {(True, "MainThread")} == seen
    made.open.set()
    assert made.flush() is True
    assert (20, {}) == (made.queue.counts().queued, made.queue.counts().dropped)


def test_who_helps_does_not_touch_the_depot(room):
    """What the caller has packed stays with the courier: no disk on the caller's thread."""
    made = room(limit=10_000, size=1_000, batch_size=5)
    made.hold()
    for _ in range(15):
        made.queue.put("A")

    assert (0, True) == (made.depot.memory_bytes, made.queue.counts().in_flight > 0)


def test_help_for_a_full_queue_makes_room_there(room):
    """A queue with a capacity never holds more, however long another queue is."""
    made = room(limit=1 << 30)
    logs = Queue(
        memory=made.memory,
        size_of=lambda _: 1,
        batch_size=1,
        capacity=2,
        begun=bool,
        wake=bool,
        relieve=made.courier.help,
    )
    made.courier._lanes += (Lane(signal="metrics", queue=logs, prepare=str, encode=encode),)
    made.hold()
    for _ in range(50):
        made.queue.put("A")
    for _ in range(20):
        logs.put("B")

    assert len(logs) <= 2


def test_without_help_the_newest_is_lost(room):
    """With "drop" the caller packs nothing."""
    made = room(limit=10_000, size=1_000, helps=False)
    made.hold()
    accepted = [made.queue.put("A") for _ in range(12)]

    assert accepted == [True] * 10 + [False] * 2
    assert {"queue_full": 2} == made.queue.counts().dropped


def test_without_a_thread_nobody_helps(room):
    """When the courier is gone packing would only move the problem: the item is lost."""
    made = room(limit=2, start=False)

    assert [True, True, False] == [made.queue.put("A") for _ in range(3)]
    assert ({"queue_full": 1}, 0) == (made.queue.counts().dropped, made.queue.counts().in_flight)


def test_help_ends_when_too_much_is_packed(room):
    """When half of the memory is packed and the courier does not come, the item is lost."""
    made = room(limit=10_000, size=1_000)
    made.hold()
    made.courier.add(Parcel("metrics", 0, bytes(9_500), 0))

    assert [True, False] == [made.queue.put("A") for _ in range(2)]
    assert {"queue_full": 1} == made.queue.counts().dropped


def test_helping_costs_the_failing_item_only(room):
    """A failure of ours on the caller's thread is not the caller's."""
    made = room(limit=3_000, size=1_000, prepare=lambda item: 1 / 0 if item == "bad" else item)
    made.hold()
    with _guard.reraise(False):
        accepted = [made.queue.put(item) for item in ("A", "bad", "C", "D")]

    assert [True] * 4 == accepted
    assert {"processing_failed": 1} == made.queue.counts().dropped


# -- failures -------------------------------------------------------------------------------------


def test_a_failing_preparation_costs_one_item(room):
    """An item that cannot be cleaned is counted; its neighbours leave."""
    made = room(prepare=lambda item: 1 / 0 if item == "bad" else item)
    with _guard.reraise(False):
        for item in ("a", "bad", "c"):
            made.queue.put(item)
        made.flush()

    assert {"processing_failed": 1} == made.queue.counts().dropped
    assert ["a", "c"] == made.kept()


def test_a_failing_encoder_costs_its_batch(room):
    """A batch that cannot be encoded is counted whole; the next one leaves."""
    turns = count()
    made = room(batch_size=2, encode=lambda items: 1 / 0 if next(turns) == 0 else encode(items))
    with _guard.reraise(False):
        for item in "abcd":
            made.queue.put(item)
        made.flush()

    assert {"processing_failed": 2} == made.queue.counts().dropped
    assert ["c", "d"] == made.kept()


def test_a_batch_of_failures_is_no_batch(room):
    """Where no item of a batch can be cleaned nothing is packed."""
    made = room(prepare=lambda _: 1 / 0)
    with _guard.reraise(False):
        made.queue.put("a")
        made.flush()

    assert ([], {"processing_failed": 1}) == (made.kept(), made.queue.counts().dropped)


ANYTHING = [CancelledError, SystemExit, KeyboardInterrupt]


@pytest.mark.parametrize("error", ANYTHING)
def test_a_preparation_that_raises_anything_costs_one_item(room, error):
    """A cancellation or exit in the application's `redact` costs that item, no other and no later one."""

    def prepare(item):
        if item == "bad":
            raise error
        return item

    made = room(prepare=prepare)
    with _guard.reraise(False):
        for item in ("a", "bad", "c"):
            made.queue.put(item)
        assert made.flush() is True
        made.queue.put("d")
        assert made.flush() is True

    assert ({"processing_failed": 1}, 0) == (made.queue.counts().dropped, made.queue.counts().in_flight)
    assert ["a", "c", "d"] == made.kept()


@pytest.mark.parametrize("error", ANYTHING)
def test_an_encoder_that_raises_anything_costs_its_batch(room, error):
    """The same in the encoding: the batch is counted, the next one leaves."""
    errors = [error]

    def encoded(items):
        if errors:
            raise errors.pop()
        return encode(items)

    made = room(batch_size=2, encode=encoded)
    with _guard.reraise(False):
        for item in "abcd":
            made.queue.put(item)
        assert made.flush() is True

    assert ({"processing_failed": 2}, 0) == (made.queue.counts().dropped, made.queue.counts().in_flight)
    assert ["c", "d"] == made.kept()


@pytest.mark.parametrize("where", ["prepare", "encode"])
def test_ctrl_c_reaches_the_caller_who_helps_and_the_courier_packs_the_batch(room, where):
    """Interrupted while it packs, the caller gets its exception; only the item it came with is lost."""
    interrupts, exit_ = [KeyboardInterrupt], Exit()

    def here(step):
        if step == where and interrupts and threading.current_thread() is threading.main_thread():
            raise interrupts.pop()

    made = room(
        limit=3_000,
        size=1_000,
        prepare=lambda item: here("prepare") or item,
        encode=lambda items: here("encode") or encode(items),
        outlet=Outlet(exits=[exit_], ledger=None, pass_on=lambda o: o.outlet.deliver(o.batch, o.items)),
    )
    made.hold()
    for item in "abc":
        made.queue.put(item)
    with pytest.raises(KeyboardInterrupt):
        made.queue.put("d")
    made.open.set()

    assert made.flush() is True
    counts = made.queue.counts()
    assert (["a", "b", "c"], [["a", "b", "c"]]) == (made.kept(), exit_.batches)
    assert (4, {"queue_full": 1}, 0) == (counts.created, counts.dropped, counts.in_flight)


def test_ctrl_c_while_a_batch_is_taken_loses_none_of_it(room):
    """A caller who is interrupted when it takes a batch to help leaves it in the queue, in order."""
    turns = count()

    class Interrupted(deque):
        def popleft(self):
            if next(turns) == 2:
                raise KeyboardInterrupt
            return super().popleft()

    made = room(start=False)
    made.queue._items = Interrupted()
    for item in "abc":
        made.queue.put(item)
    with pytest.raises(KeyboardInterrupt):
        made.queue.take()

    assert (3, 0) == (made.queue.counts().queued, made.queue.counts().in_flight)
    assert ["a", "b", "c"] == made.queue.take()
    made.ledger.settle(dropped=3)


def test_what_a_dead_courier_left_is_packed_at_the_end(room):
    """Where its thread has ended, the closing one packs what waits, and what a helper has left."""
    made = room(start=False, batch_size=2)
    made.ledger.take(1)
    made.courier._left.append((made.courier._lanes[0], ["A"], 1))
    for item in "BCDEF":
        made.queue.put(item)
    made.courier.secure(deadline=soon())

    assert (list("abcdef"), 0) == (made.kept(), made.queue.counts().queued)


def test_a_living_courier_packs_for_itself(room):
    """While its thread lives the closing one takes nothing away from it."""
    made = room()
    made.hold()
    made.queue.put("a")
    made.courier.secure(deadline=soon())

    assert 1 == len(made.queue)


# -- other ways, the end --------------------------------------------------------------------------


def test_the_outlet_gets_clean_items(room):
    """Exits besides OTLP see what was prepared, not what came."""
    exit_ = Exit()
    outlet = Outlet(
        exits=[exit_], ledger=None, pass_on=lambda order: order.outlet.deliver(order.batch, order.items)
    )
    made = room(outlet=outlet)
    made.queue.put("A")
    made.flush()

    assert ([["a"]], ["a"]) == (exit_.batches, made.kept())


def test_a_full_outlet_without_otlp_is_counted(room):
    """Where an exit decides and its thread takes no more, the batch is lost."""
    made = room(encode=None, outlet=Outlet(exits=[], ledger=None, pass_on=lambda _: False))
    made.courier._lanes[0].outlet.ledger = made.ledger
    made.queue.put("A")
    made.flush()

    assert {"export_failed": 1} == made.queue.counts().dropped


def test_metrics_come_packed(room):
    """A parcel packed by another room is put away too."""
    made = room()
    ledger = made.depot._ledgers["metrics"]
    ledger.take(2)
    made.courier.add(Parcel("metrics", 2, b"x", 0))

    assert made.flush() is True
    assert (2, 0) == (ledger.snapshot(queued=0).queued, made.courier._packed_bytes)


def test_what_helpers_left_is_put_away_at_the_end(room):
    """After the thread has ended the closing one puts away what is packed."""
    made = room(start=False)
    ledger = made.depot._ledgers["metrics"]
    ledger.take(1)
    made.courier.add(Parcel("metrics", 1, b"x", 0))
    made.courier.count_rest()

    assert (1, 0) == (ledger.snapshot(queued=0).queued, ledger.snapshot(queued=0).in_flight)


def test_an_error_of_counting_ends_when_all_is_packed(room):
    """Whatever goes wrong with the count of bytes, an idle courier puts it right."""
    made = room()
    made.memory.used = 999_999
    made.queue.put("A")
    made.flush()
    made.flush()

    assert made.depot.memory_bytes == made.memory.used


def test_memory_counts_what_waits_wherever_it_waits(room):
    """Queued, packed, shelved: the bytes follow, and taking a load gives them back."""
    made = room(start=False, size=500)
    made.queue.put("A")
    assert 500 == made.memory.used
    made.courier._round(asked=True)
    assert made.depot.memory_bytes == made.memory.used > 0
    made.kept()

    assert 0 == made.memory.used


def test_many_threads_and_a_full_queue_lose_no_count(room):
    """Four threads press into a small queue and help; each item is somewhere."""
    made = room(limit=20_000, size=500, batch_size=10)

    def press():
        for _ in range(500):
            made.queue.put("A")

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.flush()

    counts = made.queue.counts()
    assert (2_000, 0) == (counts.created, counts.in_flight)


def test_a_signal_handler_may_put_into_a_full_queue(room):
    """A handler that puts while the main thread puts or helps does not deadlock, nor lose a count."""
    made, handled = room(limit=20_000, size=500, batch_size=10), []

    def handler(*_):
        handled.append(made.queue.put("A"))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    puts = 0
    try:
        while len(handled) < 200:
            made.queue.put("A")
            puts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    made.flush()

    counts = made.queue.counts()
    assert (puts + len(handled), 0) == (counts.created, counts.in_flight)


@pytest.mark.parametrize("turn", range(4))
def test_the_count_of_packed_bytes_does_not_drift(room, turn):
    """Two threads add at once: what is counted is taken off again to the last byte."""
    turns = count()

    class Interrupted(bytes):
        """Another thread comes in where a call lets it (on CPython 3.10: any call)."""

        def __len__(self):
            if next(turns) == turn:
                made.courier.add(Parcel("metrics", 0, b"1234", 0))
            return 6

    class Away:
        memory_bytes = 0

        def put(self, parcels):
            pass

    made = room(start=False)
    made.courier._depot = Away()
    made.courier.add(Parcel("metrics", 0, Interrupted(b"123456"), 0))
    made.courier.count_rest()

    assert (0, 0) == (made.courier._packed_bytes, made.memory.used)


def test_the_end_beside_a_round_is_no_error(room):
    """The closing thread puts away the rest while the courier still does: neither fails."""
    made = room(start=False)

    class Emptied(type(made.courier._packed)):
        def __bool__(self):
            return True  # the other thread has taken the last one since

    made.courier._packed = Emptied()
    made.courier.count_rest()
