import socket
import threading
import time
from itertools import pairwise

import pytest
from rooms import BAD, OK, RETRY, names, parcel

from otelkit import _guard
from otelkit.delivery import sender as room
from otelkit.delivery.line import MAX_REQUEST_BYTES, Breaker
from otelkit.delivery.localhost import Localhost
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.transport import Answer


def soon(seconds=5.0):
    return time.monotonic() + seconds


def picky(*refused):
    """A receiver that says ``bad`` to each request with one of these items in it."""

    def answer(body):
        return BAD if any(f"<{name}>".encode() in body for name in refused) else OK

    return answer


def items(*texts, **options):
    return parcel(*(f"<{text}>" for text in texts), **options)


# -- what becomes of a request ------------------------------------------------------------------------


def test_what_is_taken_is_delivered(reception, clock):
    """All parcels that wait leave as one request."""
    here = reception()
    here.put(parcel("a"), parcel("b", "c"))
    here.run(clock, 1)

    assert ([["a", "b", "c"]], 3, []) == (here.sent(), here.counts().delivered, here.losses)


def test_partial_success_is_counted_and_told(reception, clock):
    """What the receiver says it did not take is rejected, and said."""
    here = reception(answers={"traces": [Answer(kind="ok", rejected=2, message="too old"), OK]})
    here.put(parcel("a", "b", "c"))
    here.run(clock, 1)

    assert (1, 2, [2]) == (here.counts().delivered, here.counts().rejected, here.losses)
    assert "too old" == here.sender.complaint


def test_more_rejected_than_sent_is_all(reception, clock):
    """A receiver that miscounts does not upset the books."""
    here = reception(answers={"traces": [Answer(kind="ok", rejected=99)]})
    here.put(parcel("a"))
    here.run(clock, 1)

    assert (0, 1) == (here.counts().delivered, here.counts().rejected)


def test_what_is_refused_is_not_sent_again(reception, clock):
    """A status that must not be retried costs the request, at once and once."""
    here = reception(answers={"traces": [Answer(kind="refused"), OK]})
    here.put(parcel("a", "b"))
    here.run(clock, 60)

    assert (1, 2, [2]) == (len(here.sent()), here.counts().rejected, here.losses)


def test_a_failure_is_tried_again_until_it_is_taken(reception, clock):
    """Nothing is lost, with pauses that grow."""
    times = []

    def answer(_):
        times.append(clock.now)
        return RETRY if len(times) < 4 else OK

    here = reception(answers={"traces": [answer]})
    here.put(parcel("a"))
    here.run(clock, 60)

    assert [0.5, 1.0, 2.0] == [after - before for before, after in pairwise(times)]
    assert (1, 0, []) == (here.counts().delivered, here.counts().lost, here.losses)


def test_an_outage_is_said_once_and_so_is_its_end(reception, clock, said):
    """A receiver that is away for more than five seconds is named with the reason; so is its return."""
    answers = [Answer(kind="retry", message="Connection refused.")] * 12 + [OK]
    here = reception(answers={"traces": answers})
    here.put(parcel("a"))
    here.run(clock, 90)

    away, back = said()
    assert "does not reach the collector: Connection refused. It is kept in memory" in away
    assert "reaches the collector again" in back
    assert 1 == here.counts().delivered


def test_a_short_failure_is_not_said(reception, clock, said):
    """Two failures within five seconds are nobody's business."""
    here = reception(answers={"traces": [RETRY, RETRY, OK]})
    here.put(parcel("a"))
    here.run(clock, 30)

    assert [] == said()
    assert 1 == here.counts().delivered


@pytest.mark.parametrize("spooled", [False, True])
def test_while_it_fails_everything_waits(reception, clock, disk, spooled):
    """In memory or on disk, the failed request waits for the next try."""
    here = reception(answers={"traces": [RETRY]}, spool=disk() if spooled else None)
    here.put(parcel("a"))
    here.run(clock, 30)

    assert here.sender.failing is True
    assert (1, 0) == (here.counts().queued + here.counts().spooled, here.counts().in_flight)


def test_told_to_wait_it_does_not_come_earlier(reception, clock):
    """Retry-After is kept to the second."""
    times = []

    def answer(_):
        times.append(clock.now)
        return Answer(kind="retry", retry_after_s=30.0) if len(times) == 1 else OK

    here = reception(answers={"traces": [answer]})
    here.put(parcel("a"))
    here.run(clock, 20)
    here.put(parcel("b"))
    here.run(clock, 20)

    assert 30.0 == times[1] - times[0]
    assert 2 == here.counts().delivered


def test_a_receiver_that_asks_for_no_pause_is_not_flooded(reception, clock):
    """`Retry-After: 0`, a date in the past or an empty RetryInfo: the usual pauses, and no busy loop."""
    times = []

    def answer(_):
        times.append(clock.now)
        return Answer(kind="retry", retry_after_s=0.0) if len(times) < 100 else OK

    here = reception(answers={"traces": [answer]})
    here.put(parcel("a"))
    here.run(clock, 10)

    assert [0.5, 1.0, 2.0, 4.0] == [after - before for before, after in pairwise(times)]


# -- in halves ------------------------------------------------------------------------------------------


def test_too_large_is_split(reception, clock):
    """A request that the receiver finds too large arrives in parts, in order."""

    def answer(body):
        return Answer(kind="split") if len(body) > 2 * len(parcel("a").body) else OK

    here = reception(answers={"traces": [answer]})
    here.put(*(parcel(name) for name in "abcde"))
    here.run(clock, 1)

    assert (5, 0) == (here.counts().delivered, here.counts().rejected)
    assert list("abcde") == [name for request in here.sent() if len(request) <= 2 for name in request]


def test_the_limit_of_a_receiver_is_learnt(reception, clock):
    """Where requests have a limit few are made in vain, and the others are near to it."""

    def limited(body):
        return Answer(kind="split") if len(body) > 400_000 else OK

    here = reception(answers={"traces": [limited]}, limit=1 << 30)
    here.put(*(parcel("a", size=10_000) for _ in range(1_000)))
    here.run(clock, 1)

    sizes = [len(body) for body in here.transports["traces"].bodies]
    taken = [size for size in sizes if size <= 400_000]
    assert 1_000 == here.counts().delivered
    assert len(taken) > 4 * (len(sizes) - len(taken))
    assert 200_000 < sum(taken) / len(taken)


@pytest.mark.parametrize("kind", ["split", "bad", "refused"])
def test_one_item_that_is_not_taken_is_rejected(reception, clock, kind):
    """What cannot be halved is lost, after one request."""
    here = reception(answers={"traces": [Answer(kind=kind)]})
    here.put(parcel("a"))
    here.run(clock, 60)

    assert (1, 1) == (len(here.sent()), here.counts().rejected)


@pytest.mark.parametrize("refused", [["3"], ["0"], ["7"], ["0", "7"], ["2", "3"], ["1", "4", "6"]])
@pytest.mark.parametrize("spooled", [False, True])
def test_halving_finds_exactly_the_bad_items(reception, clock, disk, refused, spooled):
    """Only what the receiver cannot read is lost; everything else is delivered, once, in order."""
    here = reception(answers={"traces": [picky(*refused)]}, spool=disk() if spooled else None)
    here.put(items(*"01"), items(*"234"), items("5"), items(*"67"))
    here.run(clock, 1)

    taken = [body for body in here.transports["traces"].bodies if picky(*refused)(body) is OK]
    arrived = [name.strip("<>") for body in taken for name in names(body)]
    assert [name for name in "01234567" if name not in refused] == arrived
    assert (8 - len(refused), len(refused)) == (here.counts().delivered, here.counts().rejected)


@pytest.mark.parametrize(
    "refused",
    [range(32), [*range(64), *range(64, 512, 16)], range(500), [*range(256), *range(400, 512)]],
)
def test_many_bad_items_cost_no_good_ones(reception, clock, refused):
    """However many it refuses before it takes one, what it takes is found and delivered."""
    bad = {f"{number:03}" for number in refused}
    here = reception(answers={"traces": [picky(*bad)]})
    for batch in range(0, 512, 128):
        here.put(items(*(f"{number:03}" for number in range(batch, batch + 128))))
    here.run(clock, 1)

    assert (512 - len(bad), len(bad)) == (here.counts().delivered, here.counts().rejected)


def test_a_receiver_that_takes_nothing_is_not_asked_about_each_item(reception, clock):
    """Where all is refused some dozens of requests are enough for a thousand items."""
    here = reception(answers={"traces": [BAD]})
    here.put(items(*map(str, range(1_000))))
    here.run(clock, 1)

    assert (0, 1_000) == (here.counts().delivered, here.counts().rejected)
    assert len(here.sent()) < 64


def test_logs_are_halved_too(reception, clock):
    """The same for log records."""
    here = reception("logs", answers={"logs": [picky("b")]})
    here.put(items("a", "b", "c", signal="logs"))
    here.run(clock, 1)

    assert (2, 1) == (here.counts("logs").delivered, here.counts("logs").rejected)


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("failing", range(1, 8))
def test_a_failure_in_the_middle_of_halving_loses_nothing(reception, clock, disk, failing, spooled):
    """When the receiver goes away while the bad item is searched, the rest is sent later, once."""
    requests = []

    def answer(body):
        requests.append(body)
        return RETRY if len(requests) == failing else picky("2")(body)

    here = reception(answers={"traces": [answer]}, spool=disk() if spooled else None)
    here.put(items("0", "1"), items("2", "3"), items("4"))
    here.run(clock, 30)

    taken = [body for n, body in enumerate(requests, 1) if n != failing and picky("2")(body) is OK]
    assert ["0", "1", "3", "4"] == sorted(name.strip("<>") for body in taken for name in names(body))
    assert (4, 1, 0) == (here.counts().delivered, here.counts().rejected, here.counts().in_flight)


def test_a_request_that_cannot_be_halved_is_rejected(reception, clock):
    """A body with fewer items than its parcel says is refused as a whole."""
    here = reception(answers={"traces": [BAD]})
    here.put(Parcel("traces", 2, parcel("a").body, 0))
    here.run(clock, 1)

    assert (0, 2) == (here.counts().in_flight, here.counts().rejected)


def test_an_error_of_ours_costs_no_count(reception, clock):
    """A failure while a request is made is counted, or tried again; its items are somewhere."""
    here = reception(answers={"traces": [BAD]})
    here.put(Parcel("traces", 2, b"\xff\xff\xff", 0))
    with _guard.reraise(False):
        here.sender._worker._round(False)

    assert 0 == here.counts().in_flight


def test_a_receiver_that_refuses_everything_is_not_flooded(reception, clock):
    """When one item after the other is bad it is not the items: it ends before all were tried."""
    here = reception(answers={"traces": [BAD]})
    here.put(parcel(*(str(number) for number in range(500))))
    here.run(clock, 1)

    assert 500 == here.counts().rejected
    assert len(here.sent()) < 200


def test_an_error_of_ours_does_not_stop_the_other_lines(reception, clock):
    """A load that makes us fail again and again costs itself only."""

    def fails(_):
        raise ValueError("ours")

    here = reception("traces", "logs", answers={"traces": [fails]})
    here.put(parcel("a"), parcel("x", signal="logs"))
    with _guard.reraise(False):
        for _ in range(5):
            here.sender._worker._round(False)
            clock.now += 2.0

    assert [["x"]] == here.sent("logs")


def test_many_bad_items_at_the_front_cost_few_good_ones(reception, clock):
    """However many bad ones come first, the parts of which the receiver takes all are delivered."""
    bad = [str(number) for number in range(30)]
    here = reception(answers={"traces": [picky(*bad)]})
    here.put(items(*(str(number) for number in range(500))))
    here.run(clock, 1)

    assert here.counts().delivered > 400
    assert len(here.sent()) < 100


# -- when it sends -----------------------------------------------------------------------------------------


def test_live_data_waits_for_more(reception, clock):
    """What comes within the delay of the first leaves with it."""
    here = reception(delay_s=1.0)
    here.put(parcel("a"))
    here.run(clock, 0.9)
    here.put(parcel("b"))
    assert [] == here.sent()
    here.run(clock, 0.1)

    assert [["a", "b"]] == here.sent()


def test_the_first_data_does_not_wait(reception, clock):
    """A program that has just begun is seen at once; from then on live data waits for more."""
    here = reception(delay_s=1.0, fresh=True)
    here.put(parcel("a"))
    here.run(clock, 0)
    here.put(parcel("b"))
    here.run(clock, 0.9)

    assert [["a"]] == here.sent()


def test_half_a_megabyte_does_not_wait(reception, clock):
    """When enough has gathered it leaves at once."""
    here = reception(delay_s=60.0, limit=1 << 30)
    here.put(parcel("a", size=300_000))
    here.run(clock, 1)
    assert [] == here.sent()
    here.put(parcel("b", size=300_000))
    here.run(clock, 0)

    assert [["a"], ["b"]] == here.sent()


def test_requests_have_a_size(reception, clock):
    """What is more than a receiver takes leaves in several requests."""
    here = reception(limit=1 << 30)
    here.put(*(parcel(name, size=400_000) for name in "abcdefg"))
    here.run(clock, 1)

    sizes = [len(body) for body in here.transports["traces"].bodies]
    assert list("abcdefg") == [name for request in here.sent() for name in request]
    assert 1 < len(sizes) < 7
    assert max(sizes) <= MAX_REQUEST_BYTES


def test_live_data_and_the_backlog_alternate(reception, clock, disk):
    """Neither waits for the other; live data goes first."""
    disk_of_the_dead = disk(max_bytes=1 << 30)
    disk_of_the_dead.append([parcel("old", size=3_000_000) for _ in range(3)])
    disk_of_the_dead.close()
    here = reception(spool=disk(max_bytes=1 << 30), always=False, limit=1 << 30)
    here.put(*(parcel("new", size=3_000_000) for _ in range(3)))
    here.run(clock, 1)

    assert ["new", "old"] * 3 == [name for request in here.sent() for name in request]
    assert 3 == here.counts().adopted


def test_the_first_try_after_a_failure_is_small(reception, clock):
    """A receiver that was away gets one small request before the rest."""
    here = reception(answers={"traces": [RETRY, OK]})
    here.put(*(parcel(str(number), size=30_000) for number in range(10)))
    here.run(clock, 10)

    assert [4, 2, 8] == [len(request) for request in here.sent()]
    assert [10.0, 5.0, 10.0] == here.transports["traces"].timeouts


def test_what_one_signal_is_told_holds_up_no_other(reception, clock):
    """Told to wait with logs (their limit is reached, their backend is away), spans go on at full size."""
    busy = Answer(kind="retry", message="HTTP 429", answered=True, retry_after_s=30.0)
    here = reception("logs", "traces", answers={"logs": [busy, OK]}, limit=1 << 30)
    here.put(parcel("x", signal="logs"), *(parcel(str(number), size=100_000) for number in range(5)))
    here.run(clock, 1)
    assert (["0", "1", "2", "3", "4"], [["x"]]) == (sum(here.sent(), []), here.sent("logs"))
    here.put(*(parcel(str(number), size=100_000) for number in range(10)))
    here.run(clock, 1)
    assert 10 == len(here.sent()[-1])
    here.run(clock, 30)

    assert ([["x"], ["x"]], 1) == (here.sent("logs"), here.counts("logs").delivered)


def test_a_silence_about_one_signal_holds_up_no_other(reception, clock):
    """Where logs are never answered spans are, in between: their requests are large, and wait for one of logs."""

    def silent(_):
        clock.now += 5.0
        return RETRY

    here = reception("logs", "traces", answers={"logs": [silent]}, limit=1 << 30)
    here.put(parcel("first"), parcel("x", signal="logs"))
    for _ in range(10):
        here.run(clock, 1)
        here.put(*(parcel("a", size=100_000) for _ in range(10)))
    here.run(clock, 1)

    assert 101 == here.counts().delivered
    assert 900_000 < max(len(body) for body in here.transports["traces"].bodies)
    assert 0 == here.lines["traces"].failures < here.lines["logs"].failures


def test_a_silence_about_all_signals_is_the_receivers(reception, clock):
    """One that was answered before and hangs now is away for all of them, as soon as two have seen it."""

    def silent(_):
        clock.now += 5.0
        return RETRY

    here = reception("logs", "traces", "metrics", answers={"logs": [OK, silent], "traces": [OK, silent]})
    for _ in range(2):
        here.put(parcel("x", signal="logs"), parcel("a"))
        here.run(clock, 1)

    assert [True, True, True] == [line.failures > 0 for line in here.lines.values()]


def test_a_signal_that_is_not_taken_is_said(reception, clock, said):
    """Once, with what the receiver said, while the other signals arrive; and once when it is taken again."""
    busy = Answer(kind="retry", message="HTTP 503: queue is full.", answered=True)
    here = reception("logs", "traces", answers={"logs": [*[busy] * 6, OK]})
    here.put(parcel("x", signal="logs"))
    for _ in range(40):
        here.put(parcel("a"))
        here.run(clock, 1)

    away, back = said()
    assert ": HTTP 503: queue is full. They are kept in memory and tried again." in away
    assert "otelkit: the collector does not take logs now: " == away[:47]
    assert "otelkit: the collector takes logs again." == back
    assert 40 == here.counts().delivered


def test_lines_to_one_receiver_share_the_pause(reception, clock):
    """When spans could not be sent, logs do not try the same receiver."""
    here = reception("traces", "logs", answers={"traces": [RETRY]})
    here.put(parcel("a"), parcel("x", signal="logs"))
    here.run(clock, 0.4)

    assert ([["a"]], []) == (here.sent(), here.sent("logs"))


def test_a_line_to_another_receiver_goes_on(reception, clock):
    """One receiver's failures are not another one's."""
    here = reception("traces", "logs", answers={"traces": [RETRY]})
    here.lines["logs"].receiver = Breaker()
    here.put(parcel("a"), parcel("x", signal="logs"))
    here.run(clock, 0.4)

    assert ([["a"]], [["x"]]) == (here.sent(), here.sent("logs"))


def test_adopted_items_are_sent_without_any_new_ones(reception, clock, disk):
    """What a dead process left leaves at once, and is looked for again and again."""
    here = reception(spool=disk())
    here.run(clock, 1)
    dead = disk()
    dead.append([parcel("a")])
    dead.close()
    here.run(clock, room._TEND_S)

    assert ([["a"]], 1) == (here.sent(), here.counts().adopted)


def test_with_nothing_to_do_it_sleeps(reception, clock):
    """Idle it wakes for the folder only."""
    here = reception()
    here.run(clock, 1)

    assert 3.0 < here.sender._round(False) <= room._TEND_S


def test_a_failed_flush_does_not_make_it_spin(reception, clock):
    """After a flush that failed the sender sleeps until live data is due."""
    here = reception(delay_s=5.0, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender._drain_until = clock.now
    here.sender._drain()

    here.run(clock, 4.0)


def test_a_receiver_that_failed_last_does_not_make_it_spin(reception, clock, disk):
    """When what failed is gone (evicted, given up) the sender sleeps."""
    here = reception(answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.run(clock, 0.1)
    load = here.depot.take("traces", backlog=False, max_bytes=1)
    here.depot.settle(load, dropped=1, reason="export_failed")

    here.run(clock, 60.0)


def test_what_comes_while_it_looks_is_sent(reception, clock):
    """Data put away just after the sender found nothing is due all the same."""
    here = reception()
    take, late = here.depot.take, [parcel("b")]

    def slow(signal, *, backlog, max_bytes):
        load = take(signal, backlog=backlog, max_bytes=max_bytes)
        if load is None and not backlog and late:
            here.put(late.pop())
        return load

    here.depot.take = slow
    here.put(parcel("a"))
    here.run(clock, 30)

    assert [["a"], ["b"]] == here.sent()


# -- nobody has said that there is a receiver ------------------------------------------------------------


@pytest.fixture
def nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return Localhost(f"http://127.0.0.1:{port}/")


def test_where_nobody_listens_what_waits_is_given_up(reception, clock, nobody, said):
    """No request is made, everything is lost at once, and that is said once."""
    here = reception(guess=nobody)
    here.put(parcel("a"))
    here.run(clock, 1)
    here.put(parcel("b"))
    here.run(clock, 1)

    assert ([], {"export_failed": 2}) == (here.sent(), here.counts().dropped)
    assert [f"not delivered to {nobody.place}: nobody listens there" in line for line in said()] == [True]


def test_a_failure_makes_it_look_again(reception, clock, nobody):
    """A collector that has ended is noticed with the first failure; what failed is given up then."""
    nobody._listening = True
    here = reception(guess=nobody, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender._round(False)
    assert (1, {}) == (here.counts().queued, here.counts().dropped)
    clock.now += 1
    here.sender._round(False)

    assert (1, {"export_failed": 1}) == (len(here.sent()), here.counts().dropped)


def test_a_guess_that_has_answered_is_none_any_more(reception, clock, nobody):
    """While the collector on localhost restarts what waits is kept, and sent when it is back."""
    nobody._listening = True
    here = reception(guess=nobody, answers={"traces": [OK, RETRY, RETRY, OK]})
    here.put(parcel("a"))
    here.run(clock, 1)
    here.put(parcel("b"))
    here.run(clock, 20)

    assert (2, {}) == (here.counts().delivered, here.counts().dropped)


def test_a_guess_that_is_gone_at_the_end_is_not_waited_for(reception, nobody):
    """A laptop's collector that was stopped does not make each program wait for it when it ends."""
    nobody.known = True
    here = reception(guess=nobody, delay_s=60.0, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon(30)) is False
    assert (1, 1) == (len(here.sent()), here.counts().queued)


def test_a_collector_that_ends_does_not_make_it_spin(reception, clock, nobody):
    """A laptop's collector is stopped: the program goes on as if there had been none."""
    nobody._listening = True
    here = reception(guess=nobody, answers={"traces": [RETRY]})
    here.put(parcel("a"))

    here.run(clock, 60.0)


# -- draining, on the thread ---------------------------------------------------------------------------------


def test_draining_sends_everything_now(reception):
    """No delay: all signals leave at once."""
    here = reception("traces", "logs", delay_s=60.0)
    here.put(parcel("a"), parcel("x", signal="logs"))
    here.sender.start()

    assert here.sender.drain(deadline=soon()) is True
    assert ([["a"]], [["x"]]) == (here.sent(), here.sent("logs"))


def test_draining_sends_the_backlog_too(reception, disk):
    """What an earlier process left is part of it, once it was found."""
    dead = disk()
    dead.append([parcel("old")])
    dead.close()
    here = reception(spool=disk(), delay_s=60.0)
    here.sender.start()
    here.put(parcel("new"))

    assert here.sender.drain(deadline=soon()) is True
    assert [["old"], ["new"]] == here.sent()


def test_draining_sends_what_can_be_answered(reception, clock, disk):
    """A slow receiver near the deadline: what is on disk leaves in requests that it can still answer."""

    def slowly(body):
        clock.now += len(body) / 300_000
        return OK

    here = reception(spool=disk(), answers={"traces": [slowly]}, limit=1 << 30)
    here.put(*(parcel(str(number), size=10_000) for number in range(100)))
    here.sender.begin(deadline=clock.now + 2)
    here.sender._round(True)

    sizes = [len(body) for body in here.transports["traces"].bodies]
    taken = [size / 300_000 for size in sizes]
    left = [2 - sum(taken[:number]) for number in range(len(taken))]
    assert 120_000 < sizes[0] < 132_000 < sizes[1]
    assert all(size < 66_000 or need <= have / 2 for size, need, have in zip(sizes, taken, left, strict=True))
    assert 100 == here.counts().delivered


def test_draining_from_memory_begins_large(reception, clock):
    """What no next process would send again leaves as fast as it can."""
    here = reception(limit=1 << 30)
    here.put(*(parcel(str(number), size=10_000) for number in range(100)))
    here.sender.begin(deadline=clock.now + 2)
    here.sender._round(True)

    assert [100] == [len(request) for request in here.sent()]


def test_draining_gives_up_at_once_where_all_is_on_disk(reception, disk):
    """Trying on can wait: one request, and no for an answer."""
    here = reception(spool=disk(), delay_s=60.0, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon(30)) is False
    assert (1, 1) == (len(here.sent()), here.counts().spooled)


def test_draining_tries_on_in_memory(reception):
    """What nobody keeps is tried until it is taken."""
    here = reception(delay_s=60.0, answers={"traces": [RETRY, RETRY, OK]})
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon()) is True
    assert (3, 1) == (len(here.sent()), here.counts().delivered)


def test_draining_in_memory_ends_at_the_deadline(reception):
    """A receiver that is away does not hold up a flush; what waits is kept."""
    here = reception(delay_s=60.0, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon(0.1)) is False
    assert 0 == here.counts().lost


def test_draining_respects_retry_after(reception):
    """A receiver that asked to be left alone is not asked by a flush either."""
    here = reception(delay_s=60.0, answers={"traces": [Answer(kind="retry", retry_after_s=60.0)]})
    here.put(parcel("a"))
    here.sender.start()

    assert [False, False] == [here.sender.drain(deadline=soon()) for _ in range(2)]
    assert 1 == len(here.sent())


def test_a_hanging_receiver_does_not_hold_up_a_flush(reception):
    """The flush says no in time, and the request goes on."""
    here = reception()
    here.transports["traces"].open.clear()
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon(0.05)) is False
    assert 1 == here.counts().in_flight


def test_frozen_time_does_not_hold_up_a_flush(reception, monkeypatch):
    """A test of the application's that lets time stand still (freezegun): the flush ends all the same."""
    here = reception()
    here.transports["traces"].open.clear()
    here.put(parcel("a"))
    here.sender.start()
    tick, waits = threading.Event(), []

    def wait(ticket, *, deadline):
        waits.append(tick.wait(0.01))
        assert len(waits) < 1_000, "it waits for ever"

    monkeypatch.setattr(here.sender._worker, "wait", wait)
    deadline = soon(0.05)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)

    assert here.sender.drain(deadline=deadline) is False


def test_without_a_thread_nothing_can_be_drained(reception):
    """Before the start, or after the end, the answer is whether anything waits."""
    here = reception()
    assert here.sender.drain(deadline=soon()) is True
    here.put(parcel("a"))

    assert here.sender.drain(deadline=soon()) is False


def test_a_rest_is_not_delivered(reception):
    """A flush is no success when a failure in the middle of halving left something."""
    here = reception(delay_s=60.0, answers={"traces": [BAD, OK, RETRY]})
    here.put(parcel("a"), parcel("b"))
    here.sender.start()

    assert here.sender.drain(deadline=soon(0.2)) is False


def test_a_failing_receiver_does_not_cost_the_others(reception):
    """During a flush in memory the other receivers get theirs while one fails."""
    here = reception("traces", "logs", delay_s=60.0, answers={"traces": [RETRY]})
    here.lines["logs"].receiver = Breaker()
    here.put(parcel("a"), parcel("x", signal="logs"))
    here.sender.start()
    here.sender.drain(deadline=soon(0.3))

    assert [["x"]] == here.sent("logs")


def test_draining_tries_on_where_the_disk_fails(reception, disk, tmp_path):
    """With a spool that cannot be used, what waits is in memory, and is tried until the deadline."""
    (tmp_path / "file").write_text("x")
    here = reception(spool=disk("file"), delay_s=60.0, answers={"traces": [RETRY, OK]})
    here.put(parcel("a"))
    here.sender.start()

    assert here.sender.drain(deadline=soon()) is True


def test_a_drain_that_fails_is_no_success(reception, disk):
    """An error of ours during the drain is a no, whatever the last one was."""
    here = reception(delay_s=60.0)
    here.sender.start()
    assert here.sender.drain(deadline=soon()) is True
    here.put(parcel("a"))
    here.depot.take = lambda *_, **__: 1 / 0
    with _guard.reraise(False):
        drained = here.sender.drain(deadline=soon(0.5))
    del here.depot.take

    assert drained is False


def test_a_drain_that_fails_does_not_spin(reception):
    """Who waits for a drain that failed is told so, and does not ask again and again until the deadline."""
    here = reception(delay_s=60.0)
    here.put(parcel("a"))
    here.depot.take = lambda *_, **__: 1 / 0
    waits = []
    wait = here.sender._worker.wait
    here.sender._worker.wait = lambda *args, **kwargs: waits.append(1) or wait(*args, **kwargs)
    with _guard.reraise(False):
        here.sender.start()
        here.sender.drain(deadline=soon(0.2))
    del here.depot.take

    assert len(waits) < 20


# -- the end ------------------------------------------------------------------------------------------------


def test_close_interrupts_a_request(reception):
    """A request under way is ended, what it held waits, and the connection is closed."""
    here = reception()
    transport = here.transports["traces"]
    transport.open.clear()
    here.put(parcel("a"))
    here.sender.start()
    assert transport.entered.wait(5)

    assert here.sender.close(deadline=soon()) is True
    assert (1, False, 1, 0) == (
        here.counts().queued,
        here.sender.alive,
        transport.closed,
        here.sender.failing,
    )


def test_close_keeps_its_deadline(reception):
    """A transport that cannot be interrupted does not hold up the end; its connection stays."""
    here = reception()
    transport = here.transports["traces"]
    transport.interrupt = lambda: None
    transport.open.clear()
    here.put(parcel("a"))
    here.sender.start()
    assert transport.entered.wait(5)

    assert here.sender.close(deadline=soon(0.05)) is False
    assert 0 == transport.closed


def test_close_ends_a_drain(reception):
    """A flush of long patience ends with the sender."""
    here = reception(delay_s=60.0, answers={"traces": [RETRY]})
    here.put(parcel("a"))
    here.sender.start()
    answers = []
    flushing = threading.Thread(target=lambda: answers.append(here.sender.drain(deadline=soon(3))))
    flushing.start()
    assert here.transports["traces"].entered.wait(5)

    assert here.sender.close(deadline=soon()) is True
    flushing.join()
    assert [False] == answers
