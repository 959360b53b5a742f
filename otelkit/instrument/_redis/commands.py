"""What may be told of a redis command: its name and how many keys it has, never an argument.

The first argument of ``execute_command`` is not always a name alone: redis-py itself sends
``"CONFIG GET"`` as one, and splits what an application gives it (``execute_command("GET my-key")``).
So a name is what looks like one, and a second word counts only after a command that has subcommands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Command", "command", "key_count", "query_text"]

KeyRule = int | Callable[[Sequence[object]], "int | None"]

_MAX_CACHED = 1_000
_MAX_PLACEHOLDERS = 16
_MAX_LOOKED_AT = 200
_NAME = re.compile(r"[A-Z]{2,20}(?:_RO|-ASKING)?|[A-Z][A-Z0-9]{0,15}\._?[A-Z]{2,24}", re.ASCII)
_SUBCOMMAND = re.compile(r"[A-Z]{2,20}(?:-[A-Z]{2,20}){0,2}", re.ASCII)
_GROUPS = """
    ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION HIMPORT LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT
    SENTINEL SLOWLOG XGROUP XINFO FT.CONFIG FT.CURSOR JSON.DEBUG
"""
_WITH_SUBCOMMANDS = frozenset(_GROUPS.split())


@dataclass(frozen=True, slots=True)
class Command:
    """A command as telemetry knows it.

    Attributes:
        name: In upper case, with its subcommand where that was part of the first argument;
            None where the first argument is not the name of a command.
        keys: How many keys it has, or what counts them; None where that is not known.
    """

    name: str | None
    keys: KeyRule | None


_UNKNOWN = Command(None, None)
_cache: dict[object, Command] = {}
_texts: dict[tuple[str, int], str] = {}


def command(first: object) -> Command:
    """The command that the first argument of ``execute_command`` names; the same object each time."""
    if type(first) is not str and type(first) is not bytes:
        return _UNKNOWN
    found = _cache.get(first)
    if found is None:
        found = _read(first if isinstance(first, str) else first.decode("latin-1"))
        if len(_cache) < _MAX_CACHED:
            _cache[first] = found
    return found


def _read(text: str) -> Command:
    name, *rest = text[:_MAX_LOOKED_AT].upper().split() or [""]
    if not _NAME.fullmatch(name):
        return _UNKNOWN
    if rest and name in _WITH_SUBCOMMANDS and _SUBCOMMAND.fullmatch(rest[0]):
        name = f"{name} {rest.pop(0)}"
    return Command(name, None if rest else _KEYS.get(name))  # in the rest there may be keys


def key_count(known: Command, args: Sequence[object]) -> int | None:
    """How many keys a command has.

    Args:
        known: What `command` said of ``args[0]``.
        args: The whole command as it is given to ``execute_command``.

    Returns:
        None where it is not known: a module's command, a new one, or one without keys.
    """
    keys = known.keys
    if keys is None:
        return None
    there = len(args) - 1
    count = keys if type(keys) is int else keys(args)  # type: ignore[operator]
    return None if count is None else max(0, min(count, there))


def query_text(name: str, arguments: int) -> str:
    """``SET ? ?``: a name and a placeholder for each of its arguments, of which 16 are shown."""
    key = (name, min(arguments, _MAX_PLACEHOLDERS + 1))
    text = _texts.get(key)
    if text is None:
        text = name + " ?" * min(arguments, _MAX_PLACEHOLDERS)
        if arguments > _MAX_PLACEHOLDERS:
            text += " ..."
        if len(_texts) < _MAX_CACHED:
            _texts[key] = text
    return text


def _number_at(index: int, more: int = 0) -> KeyRule:
    """As many keys as the argument at ``index`` says, and ``more``."""

    def count(args: Sequence[object]) -> int | None:
        try:
            return int(args[index]) + more  # type: ignore[call-overload, no-any-return]
        except (IndexError, TypeError, ValueError):
            return None

    return count


def _streams(args: Sequence[object]) -> int | None:
    """Half of what follows the word STREAMS."""
    for place, word in enumerate(args):
        if _is_word(word, "STREAMS"):
            return (len(args) - place - 1) // 2
    return None


def _with_store(args: Sequence[object]) -> int:
    """One, and a second one to store the result in."""
    return 1 + any(_is_word(word, "STORE") or _is_word(word, "STOREDIST") for word in args[2:])


def _is_word(argument: object, word: str) -> bool:
    if type(argument) is bytes:
        return argument.upper() == word.encode()
    return type(argument) is str and argument.upper() == word


# Source: the key specifications of `COMMAND DOCS`, Redis 7.0 to 8.0; the tests ask a real server.
_ONE_KEY = """
    APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST
    GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL
    HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET
    HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL
    HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MOVE
    PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RESTORE RESTORE-ASKING RPOP RPUSH RPUSHX SADD
    SCARD SET SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SORT_RO SPOP SRANDMEMBER SREM SSCAN
    STRLEN SUBSTR TTL TYPE XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD
    ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK
    ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK
    ZSCAN ZSCORE
"""
_TWO_KEYS = "BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE"
_ALL_KEYS = """
    DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH
"""
_BY_RULE: tuple[tuple[KeyRule, str], ...] = (
    (1, _ONE_KEY),
    (2, _TWO_KEYS),
    (lambda args: len(args) - 1, _ALL_KEYS),
    (lambda args: len(args) // 2, "MSET MSETNX"),
    (lambda args: len(args) - 2, "BITOP BLPOP BRPOP BZPOPMAX BZPOPMIN"),
    (_number_at(1), "LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION"),
    (_number_at(2), "BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO"),
    (_number_at(2, more=1), "ZDIFFSTORE ZINTERSTORE ZUNIONSTORE"),
    (_with_store, "GEORADIUS GEORADIUSBYMEMBER SORT"),
    (_streams, "XREAD XREADGROUP"),
)
_KEYS: dict[str, KeyRule] = {name: rule for rule, names in _BY_RULE for name in names.split()} | {
    f"{group} {name}": 1
    for group, names in {
        "MEMORY": "USAGE",
        "OBJECT": "ENCODING FREQ IDLETIME REFCOUNT",
        "XGROUP": "CREATE CREATECONSUMER DELCONSUMER DESTROY SETID",
        "XINFO": "CONSUMERS GROUPS STREAM",
    }.items()
    for name in names.split()
}
