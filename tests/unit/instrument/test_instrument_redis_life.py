"""Without a server: what needs one is in `tests/e2e/test_redis.py`."""

import socket
from importlib import import_module

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from otelkit import testing

redis = pytest.importorskip("redis")

from otelkit.instrument._redis import LIBRARY, instrument_client  # noqa: E402
from otelkit.instrument._redis import methods as _redis_methods  # noqa: E402 - after the library is known to be there
from otelkit.instrument._redis.calls import Calls  # noqa: E402
from otelkit.settings import Settings  # noqa: E402

METHODS = [
    (module, kind, name)
    for rows in (_redis_methods._SYNC, _redis_methods._ASYNC)
    for module, kind, *names in rows
    for name in " ".join(names).split()
]


@pytest.fixture
def closed_port():
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def functions():
    found = {}
    for module, kind, name in METHODS:
        owner = getattr(import_module(module), kind, object)
        found[module, kind, name] = vars(owner).get(name)
    return found


def test_undoing_leaves_nothing_behind():
    """After the undoing each class has the very functions it had before, and may be instrumented again."""
    before = functions()
    for _ in range(2):
        with testing.capture():
            undo = LIBRARY.turn_on(Settings(service_name="test"))
            changed = {key for key, function in functions().items() if function is not before[key]}
            undo()

        assert {key for key, function in before.items() if function is not None} == changed
        assert before == functions()


def test_a_refused_connection_is_the_applications(closed_port):
    """With nobody listening the application gets redis-py's own exception, and the span says so."""
    client = redis.Redis(host="127.0.0.1", port=closed_port, retry=None)
    with pytest.raises(redis.ConnectionError) as bare:
        client.get("k")
    with testing.capture() as telemetry:
        undo = LIBRARY.turn_on(Settings(service_name="test"))
        with pytest.raises(redis.ConnectionError) as instrumented:
            client.get("k")
        undo()

    assert str(bare.value) == str(instrumented.value)
    assert "ERROR" == telemetry.span("GET").status
    client.close()


def test_samplers_see_the_attributes():
    """A sampler decides with the command, its server and its number of keys before it."""
    seen = []

    class Curious(Sampler):
        def should_sample(self, *args, attributes=None, **kwargs):
            seen.append(dict(attributes or args[4]))
            return SamplingResult(Decision.DROP)

        def get_description(self):
            return "curious"

    provider = TracerProvider(sampler=Curious(), shutdown_on_exit=False)
    calls = Calls(provider.get_tracer("test"), NoOpMeter("test"))
    client = redis.Redis(host="db", port=6380, db=3)
    calls.end(calls.command(client, ("MGET", "a", "b")))
    calls.end(calls.pipeline(client.pipeline(transaction=False).set("k", 1).get("k")))
    client.close()

    server = {
        "db.system.name": "redis",
        "db.namespace": "3",
        "server.address": "db",
        "server.port": 6380,
    }
    assert [
        {**server, "db.operation.name": "MGET", "db.query.text": "MGET ? ?", "db.redis.key_count": 2},
        {
            **server,
            "db.operation.name": "PIPELINE",
            "db.operation.batch.size": 2,
            "db.redis.commands": ["SET", "GET"],
            "db.redis.key_count": 2,
        },
    ] == seen


@pytest.mark.parametrize(
    ("make", "address"),
    [
        (lambda: redis.Redis(), {"server.address": "localhost", "server.port": 6379}),
        (lambda: redis.from_url("redis://db/7"), {"server.address": "db", "server.port": 6379}),
        (
            lambda: redis.Redis(unix_socket_path="/run/redis.sock"),
            {"server.address": "/run/redis.sock", "network.transport": "unix"},
        ),
        (lambda: redis.sentinel.Sentinel([("s", 1)]).master_for("main"), {}),
    ],
    ids=["default", "url", "socket", "sentinel"],
)
def test_where_commands_go(make, address):
    """The address is the server's; of a Sentinel's service it is left off until it is known."""
    import redis.sentinel  # noqa: F401 - for the last row

    from otelkit.instrument._redis.where import labels

    client = make()
    found = labels(client, None)
    client.close()

    assert address == {key: value for key, value in found.items() if not key.startswith("db.")}


def test_endless_pipelines_are_looked_at_for_a_while():
    """A pipeline of 100,000 commands has its size, and the names of its first thousand commands at most."""
    provider = TracerProvider(shutdown_on_exit=False)
    calls = Calls(provider.get_tracer("test"), NoOpMeter("test"))
    client = redis.Redis()
    pipe = client.pipeline()
    for number in range(100_000):
        pipe.execute_command(f"F.COMMAND{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}", number)
    call = calls.pipeline(pipe)
    calls.end(call)
    pipe.command_stack.clear()
    client.close()

    assert 100_000 == call.span.attributes["db.operation.batch.size"]
    assert 20 == len(call.span.attributes["db.redis.commands"])
    assert "db.redis.key_count" not in call.span.attributes


@pytest.mark.parametrize("thing", [None, "redis://localhost", redis.Redis], ids=str)
def test_what_is_no_client_is_refused(thing):
    """Instrumenting something else is a TypeError with what was given and what is wanted."""
    with pytest.raises(TypeError, match=r"no redis client. Give it a redis\.Redis"):
        instrument_client(thing)


def test_failures_of_ours_do_not_reach_the_application(closed_port):
    """A client that breaks what the span asks for still sends its command."""
    from otelkit import _guard

    class Odd(redis.Redis):
        @property
        def connection_pool(self):
            if self.__dict__.get("broken"):
                raise RuntimeError("not now")
            return self.__dict__["pool"]

        @connection_pool.setter
        def connection_pool(self, pool):
            self.__dict__["pool"] = pool

        def _execute_command(self, *args, **options):
            return "answered"

        def close(self):
            pass

    client = Odd(port=closed_port)
    with testing.capture() as telemetry, _guard.reraise(False):
        undo = LIBRARY.turn_on(Settings(service_name="test"))
        client.__dict__["broken"] = True
        if hasattr(redis.Redis, "_execute_command"):
            assert "answered" == client.execute_command("GET", "k")
        undo()
        client.__dict__["broken"] = False

    assert [] == telemetry.spans
