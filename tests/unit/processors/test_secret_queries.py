"""Queries of URLs: what is encoded is found, what stands next to each other tells of secrets."""

from __future__ import annotations

import pytest
from test_redact import assert_blink, assert_linear

from otelkit.processors.redact import PLACEHOLDER, Redactor

redactor = Redactor.of(True)

TEXTS = [
    ("https://h/p?token=a'topsecret&x=1", "https://h/p?token=[redacted]&x=1"),
    ("GET /p?token=a'topsecret HTTP/1.1", "GET /p?token=[redacted] HTTP/1.1"),
    ("https://h/p?token=a),b;c='d&x=1#f", "https://h/p?token=[redacted]&x=1#f"),
    ("/cb#access_token=a'),b&x=1", "/cb#access_token=[redacted]'),b&x=1"),
    ("/cb?#access_token=a'),b&x=1", "/cb?#access_token=[redacted]&x=1"),
    ("{'url': 'https://h/?token=abc', 'n': 1}", "{'url': 'https://h/?token=[redacted]', 'n': 1}"),
    ('{"url":"https://h/?token=abc","n":1}', '{"url":"https://h/?token=[redacted]","n":1}'),
    ("Call(url=/p?token=abc,n=1)", "Call(url=/p?token=[redacted],n=1)"),
    ("?to%6Ben=abc&x=1", "?to%6Ben=[redacted]&x=1"),
    ("user%5Bpass%77ord%5D=abc&x=1", "user%5Bpass%77ord%5D=[redacted]&x=1"),
    ("?next=https%3A%2F%2Fx%2F%3Ftoken%3Dabc", "?next=https%3A%2F%2Fx%2F%3Ftoken%3D[redacted]"),
    ("?next=/p%3Ftoken%3Dabc%26n%3Da+b&x=1", "?next=/p%3Ftoken%3D[redacted]%26n%3Da+b&x=1"),
    ("?a=%2F%3Fb%3D%252F%253Ftoken%253Dabc", "?a=%2F%3Fb%3D%252F%253Ftoken%253D[redacted]"),
    ("dsn=postgres%3A%2F%2Fu%3Apw%40h%2Fd&x=1", "dsn=postgres%3A%2F%2Fu%3A[redacted]%40h%2Fd&x=1"),
    ("https%3A%2F%2Fx%3Ftoken%3Dabc", "https%3A%2F%2Fx%3Ftoken%3D[redacted]"),
    ("/cb?code=abc&state=x HTTP/1.1", "/cb?code=[redacted]&state=x HTTP/1.1"),
    ("{'q': 'state=x&code=abc'}", "{'q': 'state=x&code=[redacted]'}"),
    ("/in?user=bob&pass=abc", "/in?user=bob&pass=[redacted]"),
    ("?to=%2Fcb%3Fcode%3Dabc%26state%3Dx", "?to=%2Fcb%3Fcode%3D[redacted]%26state%3Dx"),
    ("SAMLResponse=PHN&RelayState=x", "SAMLResponse=[redacted]&RelayState=x"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_secrets_in_queries(text, expected):
    """Only the value goes; what is encoded stays so; a second pass changes nothing."""
    assert redactor.text(text) == expected
    assert redactor.text(expected) is expected


@pytest.mark.parametrize(
    "text",
    [
        "/p?code=42&country=de",
        "/p?pass=3&stage=build",
        "exit code=1 & state=failed",
        "?next=https%3A%2F%2Fx%2F%3Fpage%3D2%26sort%3Dname",
        "100% of 3%3 and %3D",
        "/p?client_assertion_type=urn%3Aietf%3Aparams%3Aoauth",
        "/p?ticket=17&auth=basic",
    ],
)
def test_ordinary_queries_stay(text):
    """Words that may be secret elsewhere, and encoded values without a secret, are the same object."""
    assert redactor.text(text) is text
    assert redactor.value("url.query", text) is text


def test_the_attribute_of_a_query_is_read_as_one():
    """`url.query` has no ``?``, and is read just as behind one."""
    assert redactor.value("url.query", "token=a),b&x=1") == f"token={PLACEHOLDER}&x=1"
    assert redactor.fields({"url.query": "a=1&token='b"}) == {"url.query": f"a=1&token={PLACEHOLDER}"}


def test_a_name_of_ones_own_is_found_encoded():
    """Names that the user adds are decoded too, whatever their alphabet."""
    own = Redactor.of(["größe", "iban"])

    assert own.text("?gr%C3%B6%C3%9Fe=4&x=1") == "?gr%C3%B6%C3%9Fe=[redacted]&x=1"
    assert own.text("?a=%26iban%3DDE02") == "?a=%26iban%3D[redacted]"


def test_half_characters_are_no_error():
    """A text that cannot be encoded is redacted nevertheless."""
    assert "abc" not in redactor.text("a=\ud800%3Ftoken%3Dabc%FF")


HOSTILE = [
    "%3D", "%25", "%2525", "%3Ftoken%3D", "a%3Bb&", "to%6Ben=", "%41", "code=", "&code=a&state=", "pass=&", "&token=",
    "?token=a'", "#token=", "?token=a#",
]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "?", "code=a&state=b&x=%3D"])
def test_time_is_linear_on_hostile_queries(prefix):
    """Four times the text takes nowhere near sixteen times as long, whatever it repeats."""
    assert_linear(redactor.text, HOSTILE, prefix)


@pytest.mark.parametrize("atom", ["%3Ftoken%3D", "%25", "to%6Ben=", "&code=a&state=", "&token=", "?token=a'"])
def test_a_megabyte_of_queries_is_read_in_a_blink(atom):
    """One megabyte costs no more than a hundred passes of a simple pattern."""
    assert_blink(redactor.text, atom)
