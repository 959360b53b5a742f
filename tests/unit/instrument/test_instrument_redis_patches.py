import gc
import weakref

from otelkit.instrument._redis.group import WeakGroup
from otelkit.instrument._redis.patches import Patches


class Base:
    def method(self):
        return "base"


class Heir(Base):
    pass


def louder(function):
    def loud(self):
        return function(self).upper()

    return loud


def test_methods_are_replaced_and_put_back():
    """A replaced method keeps its name and documentation, and the very same function comes back."""
    former = Base.method
    patches = Patches()
    patches.put(Base, "method", louder)
    patches.put(Base, "method", louder)

    assert ("BASE", "BASE", "method") == (Base().method(), Heir().method(), Base.method.__name__)
    patches.take_back()
    assert Base.method is former
    assert not patches


def test_inherited_and_missing_methods_are_left_alone():
    """Only the class that defines a method is changed."""
    patches = Patches()
    patches.put(Heir, "method", louder)
    patches.put(Base, "no_such_method", louder)

    assert not patches
    assert "method" not in vars(Heir)


def test_what_others_wrapped_meanwhile_stays():
    """A method that somebody else has wrapped since is not taken out from under them."""
    former = Base.method
    patches = Patches()
    patches.put(Base, "method", louder)
    theirs = Base.method = lambda self: f"<{type(self).__name__}>"
    try:
        patches.take_back()

        assert Base.method is theirs
        assert patches
    finally:
        Base.method = former


def test_members_are_held_weakly():
    """A group forgets a member that is gone, and does not ask its equality."""

    class Odd:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    group, one, other = WeakGroup(), Odd(), Odd()
    group.add(one)
    group.add(one)
    group.add(other)
    assert one in group
    assert 2 == len(group.present())

    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    assert 1 == len(group.present())

    group.discard(one)
    group.discard(one)
    assert not group
