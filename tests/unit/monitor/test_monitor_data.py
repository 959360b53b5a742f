"""Where the data of a result is found, and that nothing of the application runs for it."""

from __future__ import annotations

import asyncio
import functools
import io
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import MagicMock, Mock

import pytest

import otelkit
from otelkit.monitor._data import LATER, data_of


def forbidden(*_):
    raise AssertionError("the application's code ran")


@dataclass
class Plain:
    data: int


@dataclass(slots=True)
class Slotted:
    data: int


class Named(NamedTuple):
    data: int


class OnTheClass:
    data = 1


class WithItsOwnLookup:
    __getattr__ = __getattribute__ = forbidden

    def __init__(self):
        object.__setattr__(self, "data", 1)


class Dict(dict):
    get = __getitem__ = __contains__ = forbidden


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"data": 1},
        lambda: OrderedDict(data=1),
        lambda: defaultdict(forbidden, data=1),
        lambda: Dict(data=1),
        lambda: SimpleNamespace(data=1),
        lambda: Plain(1),
        lambda: Slotted(1),
        lambda: Named(1),
        lambda: OnTheClass(),
        lambda: WithItsOwnLookup(),
    ],
)
def test_where_data_is_found(make):
    """Data is an item of a dict, or an attribute that the object or its class holds."""
    assert (True, 1) == data_of(make())


def test_none_is_data():
    """Data that is None is there."""
    assert (True, None) == data_of(SimpleNamespace(data=None))


class Property:
    data = property(forbidden)


class Method:
    data = forbidden


class Dynamic:
    def __getattr__(self, name):
        forbidden()


class Items(Mapping):
    __getitem__ = __iter__ = __len__ = forbidden

    def __init__(self):
        self.data = 1


class Unhashable(type):
    __hash__ = None


class Response(io.IOBase):  # as urllib3's: to read it would take it away
    data = property(forbidden)


@pytest.mark.parametrize(
    "make",
    [
        dict,
        lambda: 7,
        lambda: "text",
        lambda: object(),
        lambda: Slotted.__new__(Slotted),
        lambda: Property(),
        lambda: Method(),
        lambda: Dynamic(),
        lambda: Items(),
        lambda: UserDict(data=1),
        lambda: Response(),
        lambda: Unhashable("Odd", (), {})(),
    ],
)
def test_where_there_is_none(make):
    """What only the object's own code could say (a property, a method, `__getattr__`) is no data."""
    assert (False, None) == data_of(make())


def test_what_a_descriptor_keeps_in_the_object():
    """A column that is loaded, a cached property that was read are data; before that they are not asked for."""

    class Column:
        __get__ = __set__ = forbidden

    class Row:
        data = Column()

    class Cached:
        data = functools.cached_property(forbidden)

    for kind in (Row, Cached):
        result = kind()
        assert (False, None) == data_of(result)
        vars(result)["data"] = 1
        assert (True, 1) == data_of(result)


@pytest.mark.parametrize("mock", [Mock, MagicMock])
def test_a_mock_does_not_notice(telemetry, mock):
    """A mock that is returned has been asked nothing."""
    result = mock()
    otelkit.monitor_performance("m", "/mock")(lambda: result)()

    assert [] == result.mock_calls
    assert {} == result._mock_children


def test_an_expired_object_makes_no_query(telemetry):
    """What SQLAlchemy has expired stays so: returning it asks the database nothing."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm

    class Base(orm.DeclarativeBase):
        pass

    class Doc(Base):
        __tablename__ = "doc"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        data = sqlalchemy.Column(sqlalchemy.String)

    @otelkit.monitor_performance("make", "/make")
    def make(session):
        doc = Doc(data="text")
        session.add(doc)
        session.commit()
        return doc

    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        make(session)
        assert not session.in_transaction()
    engine.dispose()


async def test_work_that_comes_later():
    """Of what is still to be done (a coroutine, a generator, a future) it is known that it is."""

    async def coroutine():
        pass

    async def stream():
        yield

    unawaited = coroutine()
    for result in (unawaited, (n for n in ()), stream(), asyncio.get_running_loop().create_future()):
        assert (False, LATER) == data_of(result)
    unawaited.close()
