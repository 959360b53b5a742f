"""redis-py, instrumented, on a real Redis server: what is told, and that the application sees no difference."""

import asyncio
import gc
import logging
import re
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager

import pytest

import otelkit
from otelkit import testing
from otelkit.settings import Settings
from redis_server import RedisServer, require_redis_server

pytest.importorskip("redis")

import redis  # noqa: E402 - after it is known to be there
import redis.asyncio  # noqa: E402
import redis.cluster  # noqa: E402
from redis.asyncio.retry import Retry as AsyncRetry  # noqa: E402
from redis.backoff import NoBackoff  # noqa: E402
from redis.retry import Retry  # noqa: E402

from otelkit.instrument._redis import LIBRARY, instrument_client  # noqa: E402

SECRET = "s3cr3t"
ONCE = Retry(NoBackoff(), 0)  # the errors of a server shall not be waited for


@contextmanager
def instrumented():
    """A capture with every client instrumented."""
    with testing.capture() as telemetry:
        undo = LIBRARY.turn_on(Settings(service_name="test"))
        try:
            yield telemetry
        finally:
            undo()


@pytest.fixture
def telemetry(redis_server):
    """A capture with every client instrumented, and an empty server."""
    redis_server.ask("FLUSHALL")
    redis_server.ask("SCRIPT", "FLUSH")
    with instrumented() as telemetry:
        yield telemetry


@contextmanager
def connected(server, **options):
    client = redis.Redis(host=server.host, port=server.port, **{"retry": ONCE, **options})
    try:
        yield client
    finally:
        client.close()
        client.connection_pool.disconnect()


@asynccontextmanager
async def connected_async(server, kind=redis.asyncio.Redis, **options):
    if kind is redis.asyncio.Redis:
        options.setdefault("retry", AsyncRetry(NoBackoff(), 0))
    client = kind(host=server.host, port=server.port, **options)
    try:
        yield client
    finally:
        await closed(client)


async def closed(client):
    await (client.aclose() if hasattr(client, "aclose") else client.close())


def names(telemetry):
    return [span.name for span in telemetry.spans]


def told(telemetry):
    """All that is told, as text."""
    return repr((telemetry.spans, telemetry.metrics, telemetry.logs))


# --- what is told -------------------------------------------------------------------------------


def test_a_command_is_a_client_span(telemetry, redis_server):
    """A command is a CLIENT span with the stable attributes, below the span it was sent in."""
    with connected(redis_server, db=2) as client, otelkit.span("work"):
        client.set("k", "v", ex=60)

    span, parent = telemetry.span("SET"), telemetry.span("work")
    assert ("CLIENT", parent.span_id) == (span.kind, span.parent_id)
    assert {
        "db.system.name": "redis",
        "db.namespace": "2",
        "db.operation.name": "SET",
        "db.query.text": "SET ? ? ? ?",
        "db.redis.key_count": 1,
        "server.address": redis_server.host,
        "server.port": redis_server.port,
    } == dict(span.attributes)


def test_an_error_is_its_class_and_code(telemetry, redis_server):
    """A failed command says its class and the server's code on the span and on the measurement."""
    with connected(redis_server) as client:
        client.set(SECRET, SECRET)
        with pytest.raises(redis.ResponseError):
            client.lpush(SECRET, SECRET)

    span = telemetry.span("LPUSH")
    assert "ERROR" == span.status
    assert "WRONGTYPE" == span.attributes["db.response.status_code"]
    assert "redis.exceptions.ResponseError" == span.attributes["error.type"]
    measured = telemetry.metric("db.client.operation.duration", **{"db.operation.name": "LPUSH"})
    assert "WRONGTYPE" == measured.points[0].attributes["db.response.status_code"]
    assert 1 == measured.points[0].count


@pytest.mark.parametrize("transaction", [True, False])
async def test_a_pipeline_is_one_span(telemetry, redis_server, transaction):
    """A pipeline is one span with the names of its commands, in both kinds of client."""
    kind = "MULTI" if transaction else "PIPELINE"
    with connected(redis_server) as client:
        with client.pipeline(transaction=transaction) as pipe:
            assert [True, b"1", b"1"] == pipe.set("a", 1).get("a").get("a").execute()
            assert [] == pipe.execute()
            pipe.get("a").get("a").execute()
    async with connected_async(redis_server) as client, client.pipeline(transaction=transaction) as pipe:
        assert [True, [b"1", None]] == await pipe.set("a", 1).mget("a", "b").execute()

    assert [kind, f"{kind} GET", kind] == names(telemetry)
    mixed, same, _ = telemetry.spans
    assert ("SET", "GET") == tuple(mixed.attributes["db.redis.commands"])
    assert (3, 3) == (mixed.attributes["db.operation.batch.size"], mixed.attributes["db.redis.key_count"])
    assert 2 == same.attributes["db.operation.batch.size"]


def test_a_changed_watch_is_no_error(telemetry, redis_server):
    """A transaction refused for a changed key raises WatchError, and its span is not an error."""
    with connected(redis_server) as client, client.pipeline() as pipe:
        pipe.watch("k")
        pipe.multi()
        pipe.set("k", 1)
        client.set("k", 2)
        with pytest.raises(redis.WatchError):
            pipe.execute()

    assert ["WATCH", "SET", "MULTI SET"] == names(telemetry)
    assert "UNSET" == telemetry.span("MULTI SET").status
    assert [] == list(telemetry.span("MULTI SET").events)


async def test_a_cluster_is_told_by_its_entry(telemetry, redis_cluster):
    """Commands and pipelines of cluster clients are one span each, and one measurement."""
    with_cluster = redis.cluster.RedisCluster(host=redis_cluster.host, port=redis_cluster.port)
    telemetry.clear()
    with_cluster.set("k", "v")
    with with_cluster.pipeline() as pipe:
        pipe.set("k", "v").get("k")
        assert [True, b"v"] == pipe.execute()
    with_cluster.close()
    async with connected_async(redis_cluster, redis.asyncio.RedisCluster) as client:
        await client.get("k")
        pipe = client.pipeline()
        assert [True, b"v"] == await pipe.set("k", "v").get("k").execute()

    assert ["SET", "PIPELINE", "GET", "PIPELINE"] == names(telemetry)
    assert {redis_cluster.port} == {span.attributes["server.port"] for span in telemetry.spans}
    assert [2, 2] == [span.attributes.get("db.operation.batch.size") for span in telemetry.spans[1::2]]


def test_a_script_in_a_pipeline_is_loaded_below_it(telemetry, redis_server):
    """A script that a pipeline must load first is sent for real: those commands are the pipeline's children."""
    with connected(redis_server) as client:
        script = client.register_script("return redis.call('GET', KEYS[1])")
        with client.pipeline() as pipe:
            script(keys=["k"], client=pipe)
            pipe.execute()

    whole = telemetry.span("MULTI EVALSHA")
    inner = [span for span in telemetry.spans if span is not whole and span.name.startswith("SCRIPT ")]
    assert ["SCRIPT EXISTS", "SCRIPT LOAD"] == [span.name for span in inner]
    assert {whole.span_id} == {span.parent_id for span in inner}


def test_subscriptions_and_messages(telemetry, redis_server):
    """Subscribing and publishing are spans; receiving is not, as it waits for others."""
    with connected(redis_server) as client:
        with client.pubsub() as subscription:
            subscription.subscribe("news")
            assert "subscribe" == subscription.get_message(timeout=5)["type"]
            client.publish("news", "hello")
            assert b"hello" == subscription.get_message(timeout=5)["data"]
        assert ["SUBSCRIBE", "PUBLISH"] == names(telemetry)[:2]


def test_key_counts_are_the_servers(redis_server):
    """The number of keys is what the server itself finds in the command."""
    from otelkit.instrument._redis.commands import command, key_count

    commands = """
        GET k|SET k v EX 9|MGET a b c|MSET a 1 b 2|MSETNX a 1|DEL a b|UNLINK a|EXISTS a a|TOUCH a b|HSET h f v g w
        LPUSH l a b|LMOVE a b LEFT RIGHT|RPOPLPUSH a b|SMOVE a b m|SINTER a b|SINTERSTORE d a b|SDIFF a|SUNION a b
        SINTERCARD 2 a b LIMIT 1|ZADD z 1 m|ZUNION 2 a b WEIGHTS 1 2|ZUNIONSTORE d 2 a b|ZINTERSTORE d 1 a
        ZDIFFSTORE d 2 a b|ZINTERCARD 2 a b|ZRANGESTORE d s 0 -1|ZMPOP 2 a b MIN|BZMPOP 0 2 a b MIN|LMPOP 1 a LEFT
        BLMPOP 0 2 a b LEFT|BLPOP a b 0|BRPOP a 0|BZPOPMIN a b 0|BLMOVE a b LEFT LEFT 0|BITOP AND d a b|LCS a b
        EVAL script 2 a b c|EVALSHA sha 0|FCALL f 1 a b|SORT l|SORT l LIMIT 0 1 STORE d|SORT_RO l|COPY a b|RENAME a b
        GEORADIUS g 1 1 1 m STORE d|GEORADIUSBYMEMBER g m 1 m|GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m
        PFCOUNT a b|PFMERGE d a b|XADD s * f v|XREAD COUNT 1 STREAMS s t 0 0|XREADGROUP GROUP g c STREAMS s >
        XACK s g 1-1|OBJECT ENCODING k|MEMORY USAGE k|XINFO STREAM s|XGROUP CREATE s g 0|WATCH a b|GETEX k|EXPIRE k 1
    """
    wrong = {}
    for line in re.split(r"[|\n]", commands):
        if words := line.split():
            answer = redis_server.ask("COMMAND", "GETKEYS", *words)
            real = int(answer[1 : answer.index(b"\r")]) if answer.startswith(b"*") else 0
            grouped = [" ".join(words[:2]), *words[2:]]
            args = grouped if command(grouped[0]).name == grouped[0] else words
            if real != (ours := key_count(command(args[0]), args)):
                wrong[line.strip()] = (real, ours)

    assert {} == wrong


def test_every_command_of_the_server_has_a_name(redis_server):
    """Each command that a Redis server knows is told under its own name."""
    from otelkit.instrument._redis.commands import command

    answer = redis_server.ask("COMMAND", "LIST").decode().split("\r\n")
    listed = [word.upper().replace("|", " ") for word in answer if word and word[0] not in "*$"]

    assert 200 < len(listed)
    assert listed == [command(word).name for word in listed]


# --- nothing but names and numbers ------------------------------------------------------------------


def _ignoring(call, *args):
    try:
        return call(*args)
    except Exception:
        return None


def _sync_secrets(client):
    client.set(SECRET, SECRET)
    client.mset({SECRET: SECRET, f"{SECRET}2": SECRET})
    client.hset(f"h{SECRET}", mapping={SECRET: SECRET})
    client.xadd(f"x{SECRET}", {SECRET: SECRET})
    client.xread({f"x{SECRET}": "0"})
    client.eval(f"return '{SECRET}'", 1, SECRET, SECRET)
    script = client.register_script(f"return redis.error_reply('{SECRET.upper()} {SECRET}')")
    for attempt in (
        lambda: script(keys=[SECRET], args=[SECRET]),
        lambda: client.eval(f"return {SECRET} {SECRET}", 0),
        lambda: client.lpush(SECRET, SECRET),
        lambda: client.execute_command(f"GET {SECRET}"),
        lambda: client.execute_command(SECRET, SECRET),
        lambda: client.execute_command("NOSUCH", SECRET),
        lambda: client.execute_command("CONFIG SET", SECRET, SECRET),
        lambda: client.execute_command("AUTH", SECRET, SECRET),
        lambda: client.set(SECRET, {SECRET: SECRET}),
        lambda: client.fcall(SECRET, 1, SECRET),
        lambda: client.xgroup_create(SECRET, SECRET),
        lambda: client.client_setname(SECRET),
    ):
        _ignoring(attempt)
    for transaction in (True, False):
        with client.pipeline(transaction=transaction) as pipe:
            pipe.set(SECRET, SECRET).lpush(SECRET, SECRET)
            _ignoring(pipe.execute)
            pipe.execute_command("NOSUCH", SECRET)
            _ignoring(pipe.execute)
    with client.pubsub() as subscription:
        subscription.subscribe(SECRET)
        subscription.psubscribe(f"{SECRET}*")
        client.publish(SECRET, SECRET)
        for _ in range(4):
            subscription.get_message(timeout=5)


async def _async_secrets(client):
    await client.set(SECRET, SECRET)
    await client.eval(f"return '{SECRET}'", 1, SECRET, SECRET)
    for words in ((f"GET {SECRET}",), ("LPUSH", SECRET, SECRET), ("NOSUCH", SECRET), ("AUTH", SECRET)):
        try:
            await client.execute_command(*words)
        except redis.RedisError:
            pass
    async with client.pipeline() as pipe:
        pipe.set(SECRET, SECRET).lpush(SECRET, SECRET)
        try:
            await pipe.execute()
        except redis.RedisError:
            pass
    subscription = client.pubsub()
    await subscription.subscribe(SECRET)
    await client.publish(SECRET, SECRET)
    await subscription.get_message(timeout=5)
    await closed(subscription)


async def test_no_key_and_no_value_is_told(telemetry, redis_server, redis_cluster, caplog):
    """Keys, values, scripts, channels and what errors repeat of them are in no span, measurement or log record."""
    caplog.set_level(logging.DEBUG)
    with connected(redis_server) as client:
        _sync_secrets(client)
    async with connected_async(redis_server) as client:
        await _async_secrets(client)
    cluster = redis.cluster.RedisCluster(host=redis_cluster.host, port=redis_cluster.port)
    cluster.set(SECRET, SECRET)
    _ignoring(cluster.lpush, SECRET, SECRET)
    with cluster.pipeline() as pipe:
        pipe.set(SECRET, SECRET).lpush(SECRET, SECRET)
        _ignoring(pipe.execute)
    cluster.close()

    assert 38 < len(telemetry.spans)
    assert SECRET not in told(telemetry).lower()
    assert 12 < len([span for span in telemetry.spans if span.status == "ERROR"])


# --- the application sees no difference ---------------------------------------------------------------


def _outcome(call):
    try:
        return "returned", call()
    except Exception as error:
        return "raised", type(error), str(error), error.args, type(error.__cause__), type(error.__context__)


def _watch_conflict(server):
    with connected(server) as client, client.pipeline() as pipe:
        pipe.watch("k")
        pipe.multi()
        pipe.set("k", 1)
        client.set("k", 2)
        return pipe.execute()


def _with(server, call, **options):
    with connected(server, **options) as client:
        client.set("text", "v")
        return call(client)


def _mixed_pipeline(client, *, raise_on_error):
    with client.pipeline(transaction=False) as pipe:
        answers = pipe.get("text").lpush("text", 1).get("text").execute(raise_on_error=raise_on_error)
        return [str(answer) for answer in answers]


def _exhausted(server):
    pool = redis.BlockingConnectionPool(host=server.host, port=server.port, max_connections=1, timeout=0.05)
    with redis.Redis(connection_pool=pool).client() as holder:
        holder.ping()
        try:
            return redis.Redis(connection_pool=pool).get("k")
        finally:
            pool.disconnect()


SCENARIOS = {
    "value": lambda server: _with(server, lambda client: client.get("text")),
    "types": lambda server: _with(server, lambda client: client.hgetall("no-such")),
    "wrong type": lambda server: _with(server, lambda client: client.lpush("text", 1)),
    "unknown": lambda server: _with(server, lambda client: client.execute_command("NOSUCH", "a", "b")),
    "no command": lambda server: _with(server, lambda client: client.execute_command()),
    "no text": lambda server: _with(server, lambda client: client.execute_command(None)),
    "bad value": lambda server: _with(server, lambda client: client.set("k", {"a": 1})),
    "bad script": lambda server: _with(server, lambda client: client.eval("return (", 0)),
    "timeout": lambda server: _with(server, lambda client: client.blpop("none", 0), socket_timeout=0.1),
    "blocking": lambda server: _with(server, lambda client: client.blpop("none", 0.05)),
    "bad auth": lambda server: _with(server, lambda client: client.ping(), password="wrong"),
    "bad db": lambda server: _with(server, lambda client: client.ping(), db=99),
    "pipeline raises": lambda server: _with(
        server, lambda client: _mixed_pipeline(client, raise_on_error=True)
    ),
    "pipeline answers": lambda server: _with(
        server, lambda client: _mixed_pipeline(client, raise_on_error=False)
    ),
    "watch": _watch_conflict,
    "exhausted": _exhausted,
    "lock": lambda server: _with(server, lambda client: client.lock("l").release()),
    "keyword": lambda server: _with(server, lambda client: client.execute_command("GET", "text", NEVER=1)),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_results_and_exceptions_are_the_same(redis_server, scenario):
    """Each result and each exception is what it is without otelkit, its message and cause included."""
    bare = _outcome(lambda: SCENARIOS[scenario](redis_server))
    with instrumented() as telemetry:
        told_of = _outcome(lambda: SCENARIOS[scenario](redis_server))
        assert scenario in {"bad auth", "bad db"} or telemetry.spans

    assert bare == told_of


def _through_a_restart(server):
    """What a client sees while its server is killed, away, and back on the same port, empty."""
    seen = []
    with connected(server, socket_timeout=5) as client:
        seen.append(_outcome(lambda: client.set("k", "v")))
        server.kill()
        seen += [_outcome(lambda: client.get("k"))[:2] for _ in range(2)]  # reset or broken, by chance
        server.start()
        seen += [_outcome(lambda: client.get("k")) for _ in range(2)]
    return seen


def test_a_server_that_dies_and_returns():
    """A client sees the death and the return of its server as it would without otelkit, and so do the spans."""
    require_redis_server()
    with RedisServer() as server:
        bare = _through_a_restart(server)
        with instrumented() as telemetry:
            told_of = _through_a_restart(server)

    assert bare == told_of
    assert ["UNSET", "ERROR", "ERROR", "UNSET", "UNSET"] == [span.status for span in telemetry.spans]


def test_a_password_is_asked_for():
    """A client without the password gets redis-py's error; the code of the server is told, the password not."""
    require_redis_server()
    with RedisServer(password=SECRET) as server, instrumented() as telemetry:
        with connected(server) as client, pytest.raises(redis.AuthenticationError):
            client.get("k")
        with connected(server, password=SECRET) as client:
            assert client.get("k") is None

    assert ["ERROR", "UNSET"] == [span.status for span in telemetry.spans]
    assert SECRET not in told(telemetry)


async def _clients(server):
    return await asyncio.to_thread(server.ask, "CLIENT", "LIST")


async def test_a_cancelled_command(telemetry, redis_server):
    """Cancelling a command raises CancelledError at once; its span is no error, and the client goes on."""
    async with (
        connected_async(redis_server, client_name="waiting", socket_timeout=60) as client,
        connected_async(redis_server) as other,
    ):
        waiting = asyncio.create_task(client.blpop("none", 0))
        while not re.search(rb"name=waiting .* cmd=blpop", await _clients(redis_server)):
            pass  # each turn waits for the server
        while not waiting.done():  # `asyncio.wait_for` of Python 3.11 can lose one, as redis-py sends
            waiting.cancel()
            await asyncio.wait([waiting], timeout=0.5)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await client.set("k", "v")
        assert b"v" == await other.get("k")

    span = telemetry.span("BLPOP")
    assert "UNSET" == span.status
    assert "error.type" not in span.attributes


async def test_a_command_that_is_never_awaited(telemetry, redis_server):
    """A command that is made and not awaited is no span, and Python says what it always says."""
    async with connected_async(redis_server) as client:
        with pytest.warns(RuntimeWarning, match="Redis.execute_command"):
            client.get("k")
            gc.collect()
        assert asyncio.iscoroutinefunction(redis.asyncio.Redis.execute_command)

    assert [] == telemetry.spans


async def test_parents_are_right_among_tasks(telemetry, redis_server):
    """Commands of tasks that run at once are below the span of their own task, and nothing stays current."""
    async with connected_async(redis_server) as client:

        async def work(number):
            with otelkit.span(f"task-{number}"):
                await client.set(f"k{number}", number)
                async with client.pipeline() as pipe:
                    await pipe.get(f"k{number}").get("other").execute()

        await asyncio.gather(*(work(number) for number in range(8)))
        assert otelkit.trace_id() is None

    tasks = {span.span_id: span.name for span in telemetry.spans if span.name.startswith("task-")}
    children = [tasks[span.parent_id] for span in telemetry.spans if span.kind == "CLIENT"]
    assert sorted([f"task-{number}" for number in range(8)] * 2) == sorted(children)


def test_parents_are_right_among_threads(telemetry, redis_server):
    """Commands of threads that share a client are below the span of their own thread."""
    together = threading.Barrier(4)

    def work(client, number):
        with otelkit.span(f"thread-{number}"):
            together.wait(10)
            for _ in range(10):
                client.incr("k")

    with connected(redis_server) as client:
        threads = [threading.Thread(target=work, args=(client, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    owners = {span.span_id: span.trace_id for span in telemetry.spans if span.name.startswith("thread-")}
    commands = [span for span in telemetry.spans if span.name == "INCRBY"]
    assert 40 == len(commands)
    assert all(owners[span.parent_id] == span.trace_id for span in commands)
    assert 40 == telemetry.metric("db.client.operation.duration").points[0].count


def _gone_without_gc(client):
    """Whether a pipeline that holds a connection is gone with its last reference, and has given it back."""
    pipe = client.pipeline()
    pipe.watch("k")
    held = weakref.ref(pipe)
    gc.disable()
    try:
        del pipe
        return held() is None, len(client.connection_pool._in_use_connections)
    finally:
        gc.enable()
        gc.collect()


def test_what_is_dropped_is_gone(redis_server):
    """A pipeline that is dropped is gone as soon as without otelkit, and its connection is back in the pool."""
    with connected(redis_server) as client:
        client.ping()  # redis-py 5.0 makes a cycle of its own while it connects
        bare = _gone_without_gc(client)
        with instrumented():
            undo = instrument_client(client)
            told_of = _gone_without_gc(client)
            undo()

    assert (True, 0) == bare == told_of


# --- one client, both clients, nobody ---------------------------------------------------------------


def test_one_client_alone(redis_server):
    """One instrumented client is told with its pipelines and subscriptions, and no other client is."""
    with testing.capture() as telemetry, connected(redis_server) as ours, connected(redis_server) as other:
        undo = instrument_client(ours)
        ours.get("k")
        other.get("k")
        with ours.pipeline() as pipe, other.pipeline() as theirs:
            pipe.get("a").get("b").execute()
            theirs.get("a").get("b").execute()
        with ours.pubsub() as subscription:
            subscription.subscribe("c")
        assert ["GET", "MULTI GET", "SUBSCRIBE"] == names(telemetry)[:3]
        ours.get("k")
        assert {"idle": 1, "used": 0} == _by_state(telemetry)  # the other's is not counted
        undo()
        telemetry.clear()
        ours.get("k")

        assert [] == telemetry.spans
        assert not hasattr(redis.Redis.execute_command, "__wrapped__")


def test_one_client_beside_all(telemetry, redis_server):
    """A client that is instrumented twice, alone and with all, is told once."""
    with connected(redis_server) as client:
        undo = instrument_client(client)
        client.get("k")
        undo()
        client.get("k")

    assert ["GET", "GET"] == names(telemetry)


def test_suppressed_commands_are_not_told(telemetry, redis_server):
    """Where telemetry is suppressed, as in otelkit's own threads, commands make none."""
    with connected(redis_server) as client, otelkit.suppress():
        assert client.set("k", "v")

    assert [] == telemetry.spans
    assert "db.client.operation.duration" not in {metric.name for metric in telemetry.metrics}


def test_without_a_running_kit_commands_go_on(redis_server):
    """Instrumented without any provider behind it, a client works as ever."""
    undo = LIBRARY.turn_on(Settings(service_name="test"))
    with connected(redis_server) as client:
        assert client.set("k", "v")
    undo()


# --- beside the official instrumentation and redis-py's own metrics --------------------------------------


def _oracle_work(client):
    client.set("k", "v")
    client.mget("k", "l")
    client.execute_command("CONFIG GET", "save")
    with pytest.raises(redis.ResponseError):
        client.lpush("k", 1)
    with client.pipeline(transaction=False) as pipe:
        pipe.set("a", 1).get("b").execute()
    with client.pipeline() as pipe:
        pipe.watch("k")
        pipe.get("k")


def _official_spans(telemetry, call):
    official = pytest.importorskip("opentelemetry.instrumentation.redis").RedisInstrumentor()
    official.instrument()
    try:
        call()
    finally:
        official.uninstrument()
    return [span for span in telemetry.spans if span.scope == "opentelemetry.instrumentation.redis"]


def test_as_many_spans_as_the_official_one(telemetry, redis_server):
    """The same calls are the same spans as the official instrumentor's, which is never on at the same time."""
    with connected(redis_server) as client:
        theirs = _official_spans(telemetry, lambda: _oracle_work(client))
        assert len(theirs) == len(telemetry.spans)  # ours stood back
        telemetry.clear()
        _oracle_work(client)
        ours = telemetry.spans

    def seen(spans):
        """What is the same in both; a pipeline is named after its commands there, and by the conventions here."""
        return [
            (span.name, span.attributes.get("db.query.text") or span.attributes.get("db.statement"))
            for span in spans
            if span.name not in {"SET GET", "PIPELINE"}
        ]

    assert seen(theirs) == seen(ours)
    assert [(span.kind, span.status) for span in theirs] == [(span.kind, span.status) for span in ours]


def test_durations_are_measured_beside_the_official_one(telemetry, redis_server):
    """While the official instrumentor makes the spans, durations and pools are still measured."""
    with connected(redis_server) as client:
        _official_spans(telemetry, lambda: client.get("k"))

    assert 1 == telemetry.metric("db.client.operation.duration").points[0].count


def test_redis_pys_own_metrics_are_not_doubled(telemetry, redis_server):
    """What the application has turned on of redis-py's own metrics is not measured twice, and stays on."""
    pytest.importorskip("redis.observability")
    from redis.observability import recorder
    from redis.observability.config import MetricGroup, OTelConfig
    from redis.observability.providers import get_observability_instance

    instance = get_observability_instance()
    instance.init(OTelConfig(metric_groups=[MetricGroup.COMMAND, MetricGroup.CONNECTION_BASIC]))
    try:
        with connected(redis_server) as client:
            client.get("k")
            metrics = {(metric.name, metric.scope) for metric in telemetry.metrics if metric.points}
            assert instance.is_enabled()
    finally:
        instance.shutdown(timeout_millis=0)
        recorder.reset_collector()

    assert ("db.client.operation.duration", "redis-py") in metrics
    assert not metrics & {
        ("db.client.operation.duration", "otelkit.redis"),
        ("db.client.connection.count", "otelkit.redis"),
    }


@pytest.fixture
def measured_by_redis_py(redis_server):
    """A capture with redis-py's own metrics on, by the setting."""
    pytest.importorskip("redis.observability", reason="redis-py has metrics of its own from 7.2 on")
    with testing.capture() as telemetry:
        undo = LIBRARY.turn_on(Settings(service_name="test", redis_metrics="redis-py"))
        try:
            yield telemetry
        finally:
            undo()


def test_redis_pys_own_metrics_by_a_setting(measured_by_redis_py, redis_server):
    """With ``redis_metrics="redis-py"`` what it has is measured by it alone; the spans are otelkit's."""
    telemetry = measured_by_redis_py
    with connected(redis_server) as client:
        client.set("k", "v")
        client.execute_command("GET my-key")
        client.execute_command("CONFIG GET", "maxmemory")

    measured = {(metric.name, metric.scope) for metric in telemetry.metrics if metric.points}
    operations = telemetry.metric("db.client.operation.duration").points
    assert {name.removeprefix("db.client.") for name, scope in measured if scope == "redis-py"} == {
        "operation.duration", "connection.count", "connection.create_time", "redis.client.connection.closed",
    }  # fmt: skip
    assert {name for name, scope in measured if scope != "redis-py"} <= {"db.client.connection.max"}
    assert sorted(point.attributes["db.operation.name"] for point in operations) == ["CONFIG GET", "SET"]
    assert names(telemetry) == ["SET", "GET", "CONFIG GET"]
    assert "my-key" not in told(telemetry)


def test_redis_pys_own_metrics_are_taken_back(redis_server):
    """Uninstrumented and instrumented again without the setting, otelkit measures again, and it alone."""
    pytest.importorskip("redis.observability")
    from redis.observability.providers import get_observability_instance

    LIBRARY.turn_on(Settings(service_name="test", redis_metrics="redis-py"))()
    assert not get_observability_instance().is_enabled()
    with instrumented() as telemetry, connected(redis_server) as client:
        client.get("k")
        scopes = {metric.scope for metric in telemetry.metrics if metric.points}
    assert scopes == {"otelkit.redis"}


def test_redis_pys_own_metrics_that_are_on_stay_the_applications(redis_server):
    """The setting changes nothing about metrics that the application has turned on, at the start and the end."""
    pytest.importorskip("redis.observability")
    from redis.observability import recorder
    from redis.observability.config import OTelConfig
    from redis.observability.providers import get_observability_instance

    instance = get_observability_instance().init(OTelConfig())
    theirs = instance.get_provider_manager()
    try:
        LIBRARY.turn_on(Settings(service_name="test", redis_metrics="redis-py"))()
        assert instance.get_provider_manager() is theirs
        assert instance.is_enabled()
    finally:
        instance.shutdown(timeout_millis=0)
        recorder.reset_collector()


# --- pools ------------------------------------------------------------------------------------------


def _by_state(telemetry):
    points = telemetry.metric("db.client.connection.count").points
    return {point.attributes["db.client.connection.state"]: point.value for point in points}


def test_connections_are_counted_by_state(redis_server):
    """Open connections are counted, idle and used, also of a pool that is older than the instrumentation."""
    with connected(redis_server) as client:
        client.ping()
        with instrumented() as telemetry:
            client.ping()
            assert {"idle": 1, "used": 0} == _by_state(telemetry)
            with client.client() as holder:
                holder.ping()
                assert {"idle": 0, "used": 1} == _by_state(telemetry)
            client.connection_pool.disconnect()
            assert {"idle": 0, "used": 0} == _by_state(telemetry)


async def test_waits_and_timeouts_of_blocking_pools(telemetry, redis_server):
    """Waiting for a connection is measured in seconds, and a pool that stayed exhausted is a timeout."""
    where = {"host": redis_server.host, "port": redis_server.port, "max_connections": 1, "timeout": 0.05}
    pool = redis.BlockingConnectionPool(**where)
    with redis.Redis(connection_pool=pool).client() as holder:
        holder.ping()
        with pytest.raises(redis.ConnectionError):
            redis.Redis(connection_pool=pool).ping()
    pool.disconnect()
    other = redis.asyncio.BlockingConnectionPool(**where)
    async with redis.asyncio.Redis(connection_pool=other).client() as holder:
        await holder.ping()
        with pytest.raises(redis.ConnectionError):
            await redis.asyncio.Redis(connection_pool=other).ping()
    await other.disconnect()

    assert 2 == telemetry.metric("db.client.connection.timeouts").points[0].value
    waited = telemetry.metric("db.client.connection.wait_time").points[0]
    assert (2, True) == (waited.count, waited.sum < 5)
    assert 2 == telemetry.metric("db.client.connection.create_time").points[0].count
    assert 1 <= telemetry.metric("db.client.connection.max").points[0].value


def test_durations_have_buckets_of_seconds(telemetry, redis_server):
    """Durations are seconds with bounds from a tenth of a millisecond on, and carry their span as exemplar."""
    with connected(redis_server) as client:
        client.get("k")

    metric = telemetry.metric("db.client.operation.duration")
    assert ("s", 0.0001, 10.0) == (metric.unit, metric.points[0].bounds[0], metric.points[0].bounds[-1])
    assert 0 < metric.points[0].sum < 5


def test_the_application_s_own_spans_and_lines_hide_the_server_s_words(telemetry, redis_server):
    """An error that passes the application's span and is logged there shows the code, never the arguments."""
    with connected(redis_server) as client, pytest.raises(redis.ResponseError, match=SECRET):
        with otelkit.span("application"):
            try:
                client.execute_command("NO_SUCH_COMMAND", SECRET)
            except redis.ResponseError:
                otelkit.get_logger().exception("failed")
                raise

    assert "ERR" == telemetry.span("application").events[0].attributes["exception.message"]
    assert "ERR" == telemetry.log("failed").attributes["exception.message"]
    assert SECRET not in repr((telemetry.spans, telemetry.logs))


def test_an_error_that_is_a_value_hides_the_server_s_words(telemetry, redis_server, capsys):
    """As a field, an argument, a message or an attribute an error shows the code, never the arguments."""
    with connected(redis_server) as client, pytest.raises(redis.ResponseError) as caught:
        client.execute_command("NO_SUCH_COMMAND", SECRET)
    error = caught.value
    otelkit.get_logger().error("as a field", error=error, errors=[error])
    logging.error("as an argument: %s %r", error, error)
    logging.error(error)
    logging.error("as an extra field", extra={"error": error})
    with otelkit.bind(error=error), otelkit.span("attribute", {"error": error}):
        logging.error("bound")

    assert SECRET in str(error)
    assert "ResponseError: ERR" == telemetry.span("attribute").attributes["error"]
    assert "as an argument: ERR ResponseError('ERR')" in [log.event for log in telemetry.logs]
    assert SECRET not in repr((telemetry.spans, telemetry.logs)) + capsys.readouterr().out
