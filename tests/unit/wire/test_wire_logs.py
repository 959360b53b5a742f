from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from otlp_samples import grouped, only, plain, record, records, told

from otelkit.wire import logs


@given(st.lists(records(), max_size=4))
@settings(max_examples=100, deadline=None)
def test_log_records_are_encoded_as_by_the_official_encoder(batch):
    """Every field of every record, the owners and the order are those of the official encoder."""
    encoded = logs.encode(batch)

    assert grouped("logs", encode_logs(batch).SerializeToString()) == grouped("logs", encoded.body)
    assert (len(batch), 0) == (encoded.items, encoded.failed)


def test_the_number_of_dropped_attributes_is_told():
    """What the SDK's limit dropped is counted in the record."""
    one = record(attributes={"a": 1, "b": 2})
    one.log_record.attributes.dropped = 300

    assert grouped("logs", encode_logs([one]).SerializeToString()) == grouped("logs", logs.encode([one]).body)
    assert 300 == only("logs", logs.encode([one])).dropped_attributes_count


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(("trace_id", wrong) for wrong in (2**128, -1, "abc", 1.5, None)),
        *(("span_id", wrong) for wrong in (2**64, -1, "abc", 1.5, None)),
        *(("timestamp", wrong) for wrong in (2**64, -1, "abc", float("nan"), None)),
        *(("trace_flags", wrong) for wrong in (2**32, -1, "abc", None)),
        *(("severity_number", wrong) for wrong in (9, "WARN", -1)),
    ],
)
def test_a_wrong_number_is_left_out(field, wrong):
    """An id, time, flag or severity that is none costs that field alone."""
    one = record(body="kept", attributes={"a": 1})
    one.log_record.span_id, one.log_record.trace_id = 6, 5
    setattr(one.log_record, field, wrong)
    sent = only("logs", encoded := logs.encode([one]))

    assert ("kept", {"a": 1}, 0) == (plain(sent.body), told(sent.attributes), encoded.failed)
    ids = (int.from_bytes(sent.trace_id, "big"), int.from_bytes(sent.span_id, "big"))
    assert (0 if field == "trace_id" else 5, 0 if field == "span_id" else 6) == ids


def test_a_record_that_cannot_be_encoded_is_a_stub_between_its_neighbours():
    """Its ids, times and body are kept, and it says why."""
    fine, broken = record("fine"), record("broken")
    broken.log_record.attributes, broken.log_record.trace_id = 5, 7
    encoded = logs.encode([fine, broken, fine])

    ((_, items),) = grouped("logs", encoded.body)
    assert items[0] == items[2] == grouped("logs", logs.encode([fine]).body)[0][1][0]
    assert (3, 1) == (encoded.items, encoded.failed)
    stub = only("logs", logs.encode([broken]))
    assert ("broken", 1, 2) == (plain(stub.body), stub.time_unix_nano, stub.observed_time_unix_nano)
    assert bytes(15) + b"\x07" == stub.trace_id
    assert told(stub.attributes)["otelkit.encode_error"].startswith("TypeError: ")


def test_what_is_no_record_is_a_stub():
    """Anything at all leaves a record that is counted."""
    encoded = logs.encode([object(), None])

    assert (2, 2) == (encoded.items, encoded.failed)
    assert "<unencodable log record>" == plain(only("logs", logs.encode([None])).body)


def test_text_is_repaired_everywhere():
    """A lone surrogate in any text of a record becomes U+FFFD."""
    one = record(
        body="\ud800", attributes={"k\ud800": "v\ud800"}, severity_text="\ud800", event_name="\ud800"
    )
    sent = only("logs", encoded := logs.encode([one]))

    assert 0 == encoded.failed
    assert ("\ufffd", "\ufffd", "\ufffd") == (plain(sent.body), sent.severity_text, sent.event_name)
    assert {"k\ufffd": "v\ufffd"} == told(sent.attributes)
