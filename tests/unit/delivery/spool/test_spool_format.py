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


class Costly:
    """A file in memory that counts what is read of it."""

    def __init__(self, data):
        self.data = data
        self.bytes = 0

    def read(self, at, size):
        found = self.data[at : at + size]
        self.bytes += len(found)
        return found

    def scanned(self):
        return list(_format.scan(self.read, len(self.data), STAMP, start=0))


def header(length, *, crc=12345):
    head = _format._RECORD.pack(_format._RECORD_MAGIC, 1, 1, 0, length, 1, 0, crc)
    return head + _format._CRC.pack(zlib.crc32(head, STAMP.salt))


def test_headers_before_one_another_do_not_multiply_the_reading():
    """Of a file in which every header promises the rest of the file no byte is read more than ten times."""
    size = 1 << 19
    file = Costly(b"".join(header(size - at - RECORD_HEADER) for at in range(0, size, RECORD_HEADER)))
    file.scanned()

    assert 10 * size >= file.bytes


PIECES = st.lists(
    st.one_of(
        st.tuples(st.just("header"), st.sampled_from([0, 1, 100, 5_000, 60_000])),
        st.tuples(st.just("to the end"), st.integers(-40, 300)),
        st.tuples(st.just("record"), st.binary(max_size=60)),
        st.tuples(st.just("bytes"), st.binary(max_size=60)),
        st.tuples(st.just("bytes"), st.just(_format._RECORD_MAGIC)),
    ),
    min_size=1,
    max_size=6,
)


def crafted(pieces, times):
    """The pieces over and over, with right checksums of the headers."""
    sizes = {"header": RECORD_HEADER, "to the end": RECORD_HEADER}
    size = times * sum(
        sizes.get(kind) or len(how) + RECORD_HEADER * (kind == "record") for kind, how in pieces
    )
    data = bytearray()
    for kind, how in pieces * times:
        if kind == "header":
            data += header(how)
        elif kind == "to the end":
            data += header(max(0, size - len(data) - RECORD_HEADER - how))
        elif kind == "record":
            data += records([how])[0]
        else:
            data += how
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(PIECES, st.integers(1, 2000))
def test_reading_is_bounded_by_the_size(pieces, times):
    """However a file was crafted, what is read of it is some times its size; no record is found twice."""
    file = Costly(crafted(pieces, times))
    found = [(item.offset, RECORD_HEADER + item.head.length) for item in file.scanned() if item.intact]

    assert 10 * len(file.data) + 4 * 65536 >= file.bytes
    assert all(at + size <= following for (at, size), (following, _) in zip(found, found[1:]))


def test_many_broken_bodies_hide_no_record():
    """A file in which every body but the last is broken, and every header is there twice, loses none."""
    *broken, last = records([bytes([number]) * 5000 for number in range(100)])
    data = b"".join(record[:RECORD_HEADER] + record[:-1] + b"\xff" for record in broken) + last

    assert [100] == [item.head.items for item in scanned(data) if item.intact]


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
