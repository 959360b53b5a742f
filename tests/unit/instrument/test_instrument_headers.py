from __future__ import annotations

from otelkit.instrument._http.headers import HeaderFilter

HEADERS = [
    (b"User-Agent", b"x/1"),
    (b"x-shop", b"a"),
    (b"X-Shop", b"b"),
    (b"cookie", b"secret"),
    (b"x-y", b"\xff"),
]


def test_only_listed_headers_are_taken():
    """Names are compared without case; all values of one name are one list, under its lower-case name."""
    taken = HeaderFilter.of("request", ["X-SHOP", " user-agent "]).attributes(HEADERS)

    assert {"http.request.header.user-agent": ["x/1"], "http.request.header.x-shop": ["a", "b"]} == taken


def test_an_entry_may_be_a_pattern_for_a_whole_name():
    """As in OpenTelemetry's own variables; one that is no pattern is a name."""
    filter_ = HeaderFilter.of("response", ["x-.*", "co(okie"])

    assert {"http.response.header.x-shop", "http.response.header.x-y"} == set(filter_.attributes(HEADERS))
    assert {} == HeaderFilter.of("response", ["ookie", "shop"]).attributes(HEADERS)


def test_no_list_means_none():
    """Without names there is nothing to look for."""
    assert not HeaderFilter.of("request", [])
    assert {} == HeaderFilter.of("request", ["", " "]).attributes(HEADERS)


def test_names_of_clients_do_not_pile_up():
    """A client may invent names without end; the memory of them is bounded."""
    filter_ = HeaderFilter.of("request", ["x-.*"])
    for number in range(5_000):
        filter_.attributes([(b"x-%d" % number, b"1")])

    assert 256 >= len(filter_._known)
