import pytest

from otelkit.instrument._redis.commands import command, key_count, query_text

SECRET = "s3cr3t-key"


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("GET", "GET"),
        (b"get", "GET"),
        ("CONFIG GET", "CONFIG GET"),
        ("SCRIPT LOAD", "SCRIPT LOAD"),
        ("CLIENT NO-EVICT", "CLIENT NO-EVICT"),
        ("GEORADIUSBYMEMBER_RO", "GEORADIUSBYMEMBER_RO"),
        ("RESTORE-ASKING", "RESTORE-ASKING"),
        ("FT.SEARCH", "FT.SEARCH"),
        ("FT._LIST", "FT._LIST"),
        (f"GET {SECRET}", "GET"),
        ("GET plainword", "GET"),
        (f"CONFIG SET requirepass {SECRET}", "CONFIG SET"),
        (f"CONFIG {SECRET}", "CONFIG"),
        (SECRET, None),
        ("", None),
        (" ", None),
        (b"\xff\xfe", None),
        (b"\xed\xa0\xbd", None),
        (None, None),
        (7, None),
        (["GET"], None),
        ("A" * 10_000, None),
    ],
)
def test_a_name_is_what_looks_like_one(first, name):
    """The first argument is a name, with a subcommand where there are some; the rest of it is never shown."""
    assert name == command(first).name


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (("GET", "k"), 1),
        (("MGET", "a", "b", "c"), 3),
        (("MSET", "a", 1, "b", 2), 2),
        (("BLPOP", "a", "b", 0), 2),
        (("EVAL", "return 1", 2, "a", "b", "c"), 2),
        (("EVAL", "return 1", b"1", "a"), 1),
        (("ZUNIONSTORE", "d", "2", "a", "b"), 3),
        (("XREAD", "COUNT", 5, "STREAMS", "s", "t", "0", "0"), 2),
        (("SORT", "k", "STORE", "d"), 2),
        (("OBJECT ENCODING", "k"), 1),
        (("XINFO STREAM", "k"), 1),
        # What the server will refuse is counted no further than it goes.
        (("GET",), 0),
        (("RENAME", "a"), 1),
        (("EVAL", "return 1", 900, "a"), 3),
        (("EVAL", "return 1", -3), 0),
        (("EVAL", "return 1", "many"), None),
        (("EVAL",), None),
        (("XREAD", "s"), None),
        # Not known, or without keys.
        (("PING",), None),
        (("PUBLISH", "channel", "message"), None),
        (("FT.SEARCH", "index", "query"), None),
        (("GET k",), None),
        ((), None),
    ],
)
def test_keys_are_counted(args, count):
    """The keys of a command are counted by its rule, and left out where no rule says."""
    assert count == key_count(command(args[0] if args else None), args)


def test_query_text_has_placeholders_only():
    """The text of a command is its name and a bounded number of placeholders."""
    assert "SET ? ?" == query_text("SET", 2)
    assert "PING" == query_text("PING", 0)
    assert "MGET" + " ?" * 16 + " ..." == query_text("MGET", 100_000)


def test_names_an_application_makes_up_are_not_kept_for_ever():
    """However many different first arguments come, the cache stays small."""
    from otelkit.instrument._redis import commands as _redis_commands

    for number in range(3_000):
        command(f"GET key-{number}")

    assert 1_000 >= len(_redis_commands._cache)
