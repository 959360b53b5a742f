import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spooling import parcel

from otelkit.delivery.spool import _format
from otelkit.delivery.spool._format import FILE_HEADER, RECORD_HEADER, Stamp

STAMP = Stamp("traces", 0x1234ABCD)
BODIES = st.lists(st.binary(max_size=300), min_size=1, max_size=12)
PLACE = st.floats(0, 1, exclude_max=True)
WOUNDS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
        st.tuples(st.just("cut"), PLACE, st.none()),
        st.tuples(st.just("zero"), PLACE, st.integers(1, 200)),
        st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=200)),
        st.tuples(st.just("copy"), PLACE, PLACE),
    ),
    max_size=5,
)


def records(bodies, stamp=STAMP):
    return [b"".join(_format.pack_record(_parcel(number, body), stamp)) for number, body in enumerate(bodies)]


def _parcel(number, body):
    return _format.Parcel("traces", number + 1, body, 1000 + number)


def wounded(data, wounds):
    for kind, place, how in wounds:
        at = int(place * len(data))
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ 1 << how]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "zero":
            data = data[:at] + bytes(min(how, len(data) - at)) + data[at + how :]
        elif kind == "insert":
            data = data[:at] + how + data[at:]
        elif kind == "copy":
            other = int(how * len(data))
            data = data[:at] + data[other : other + 100] + data[at:]
    return data


def scanned(data, stamp=STAMP, start=0):
    return list(_format.scan(lambda at, size: data[at : at + size], len(data), stamp, start=start))


@settings(max_examples=400, deadline=None)
@given(BODIES, WOUNDS)
def test_every_record_that_is_whole_is_found(bodies, wounds):
    """Whatever happens to a file, the records that are still in it as written are found, no others."""
    written = records(bodies)
    data = wounded(_format.pack_file_header(STAMP) + b"".join(written), wounds)

    found = {
        data[item.offset : item.offset + RECORD_HEADER + item.head.length]
        for item in scanned(data)
        if item.intact
    }

    assert found == {record for record in written if record in data}


@settings(max_examples=200, deadline=None)
@given(BODIES, st.lists(st.tuples(st.just("flip"), PLACE, st.integers(0, 7)), max_size=8))
def test_items_of_a_broken_body_are_known(bodies, wounds):
    """Of a record whose header is whole and whose body is not, the number of items is told."""
    written = records(bodies)
    data = wounded(b"".join(written), wounds)
    offsets = [sum(map(len, written[:number])) for number in range(len(written))]
    known = [
        number + 1
        for number, (at, record) in enumerate(zip(offsets, written))
        if data[at : at + RECORD_HEADER] == record[:RECORD_HEADER]
    ]

    assert known == [item.head.items for item in scanned(data)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_can_be_searched(data):
    """Foreign content is no error and holds nothing."""
    assert scanned(data) == []
    assert _format.read_file_header(data, STAMP).version is None


def test_record_across_the_chunks_of_a_search_is_found():
    """A record behind garbage is found wherever the search's reading is divided."""
    (record,) = records([b"body"])
    for before in range(64 * 1024 - 40, 64 * 1024 + 40):
        (found,) = scanned(bytes(before) + record)

        assert (found.offset, found.intact) == (before, True)


def test_torn_record_hides_no_record_behind_it():
    """A record that was cut short, with whole ones after it, costs only itself."""
    torn, second, third = records([b"a" * 100, b"b" * 34, b"c" * 34])
    data = torn[:-66] + second + third  # its supposed end is a border of records

    assert [(1, False), (2, True), (3, True)] == [(item.head.items, item.intact) for item in scanned(data)]


def test_content_of_another_spool_file_is_no_record():
    """Records of one file, logged and so written into another one, are not taken for its own."""
    inner = records([b"secret", b"more"], Stamp("traces", 7))
    outer = bytearray(b"".join(records([b"".join(inner)])))
    assert [True] == [item.intact for item in scanned(bytes(outer))]

    outer[-1] ^= 1

    assert [False] == [item.intact for item in scanned(bytes(outer))]


@pytest.mark.parametrize("stamp", [Stamp("logs", STAMP.salt), Stamp("traces", 1), Stamp("other", STAMP.salt)])
def test_records_belong_to_their_file(stamp):
    """Another file's number or signal makes a record none."""
    assert scanned(records([b"x"])[0], stamp) == []


def test_supposed_length_is_never_believed():
    """A header that promises more than the file or the greatest request is no reason to read it."""
    head = _format._RECORD.pack(_format._RECORD_MAGIC, 1, 1, 0, 2**32 - 1, 5, 0, 0)
    head += _format._CRC.pack(zlib.crc32(head, STAMP.salt))

    assert scanned(head + bytes(100)) == []


def test_newest_readable_cursor_counts():
    """Of the two places of the cursor the newer one counts; a torn one leaves the older."""
    data = bytearray(_format.pack_file_header(STAMP))
    assert FILE_HEADER == _format.read_file_header(data, STAMP).cursor
    for sequence, cursor in ((1, 100), (2, 200), (3, 300)):
        place, slot = _format.pack_cursor(sequence, cursor, STAMP)
        data[place : place + len(slot)] = slot
    assert 300 == _format.read_file_header(data, STAMP).cursor

    data[place + 8] ^= 1
    assert 200 == _format.read_file_header(data, STAMP).cursor

    data[16:] = bytes(48)
    assert FILE_HEADER == _format.read_file_header(data, STAMP).cursor


@pytest.mark.parametrize("place", range(16))
def test_broken_header_means_search_everything(place):
    """A header with a wrong bit anywhere tells nothing: no version, no cursor."""
    data = bytearray(_format.pack_file_header(STAMP))
    data[place] ^= 4

    assert (None, 0) == (lambda header: (header.version, header.cursor))(
        _format.read_file_header(data, STAMP)
    )


def test_time_before_the_epoch_is_stored():
    """A clock that is far off does no harm."""
    record = b"".join(_format.pack_record(parcel(-5), STAMP))

    assert 0 == _format.read_head(record, STAMP).time_ns
