"""A value behind a secret key goes whole, whatever form it has, and nothing else goes with it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_redact import assert_blink, assert_linear

from otelkit.processors.redact import Redactor

redactor = Redactor.of(True)

VALUES = [
    # calls and objects
    ("{'token': UUID('6f1c'), 'n': 1}", "{'token': '[redacted]', 'n': 1}"),
    ('{"token": UUID("6f1c"), "n": 1}', '{"token": "[redacted]", "n": 1}'),
    ('{\\"token\\": UUID(\\"6f1c\\"), \\"n\\": 1}', '{\\"token\\": \\"[redacted]\\", \\"n\\": 1}'),
    ("Session(token=UUID('6f1c'))", "Session(token=[redacted])"),
    ("Cred(password=Password(value='hunter2x'), n=1)", "Cred(password=[redacted], n=1)"),
    ("Cred(password=Password('a) b'), n=1)", "Cred(password=[redacted], n=1)"),
    ("Cred(password=Secret(Inner(('a', 'b'))), n=1)", "Cred(password=[redacted], n=1)"),
    ("Cred(pin=date(2020, 1, 2), n=1)", "Cred(pin=[redacted], n=1)"),
    ("Cred{password=Secret{a b}, n=1}", "Cred{password=[redacted], n=1}"),
    ("Cred(password=Secret(abc), n=1)", "Cred(password=[redacted], n=1)"),
    ("password=Secret('a b').value next", "password=[redacted] next"),
    ("password=Secret('cut sho", "password=[redacted]"),
    ("f(password=get('a',\nValueError: b", "f(password=[redacted]\nValueError: b"),
    ("password=<Secret 'hunter2x'>, n=1", "password=[redacted], n=1"),
    ("{'password': <Secret <Inner 'a>b'>>, 'n': 1}", "{'password': '[redacted]', 'n': 1}"),
    ("password=<cut short\nnext", "password=[redacted]\nnext"),
    # quotes
    ("password=u'hunter2x' n", "password=u'[redacted]' n"),
    ("password=Rb'hunter2x' n", "password=Rb'[redacted]' n"),
    ("PASSWORD = N'hunter2x' n", "PASSWORD = N'[redacted]' n"),
    ("token = u'hunter2x' n", "token = u'[redacted]' n"),
    ("[('authorization', u'x')]", "[('authorization', u'[redacted]')]"),
    ("password='''a 'b' c''' n", "password='''[redacted]''' n"),
    ('password="""a b', 'password="""[redacted]'),
    ("password='it''s hot' AND n='1'", "password='[redacted]' AND n='1'"),
    ("password='a'b'c n=1", "password='[redacted]' n=1"),
    ("password=''hunter2x n=1", "password='[redacted]' n=1"),
    ("password=O'Neil99x! user='bob'", "password=[redacted] user='bob'"),
    ("{'a': 'password=O'Neil', 'n': 1}", "{'a': 'password=[redacted]', 'n': 1}"),
    ('msg="password=a"!b" n=1', 'msg="password=[redacted]" n=1'),
    ('{"a":"password=x","n":1}', '{"a":"password=[redacted]","n":1}'),
    ("['password=x','n']", "['password=[redacted]','n']"),
    ("said 'password=x'. Then", "said 'password=[redacted]'. Then"),
    ('Cookie: a="b c"; d=e\nHost: h', "Cookie: [redacted]\nHost: h"),
    ("curl -H 'Cookie: a=b; c=d' https://h/", "curl -H 'Cookie: [redacted]' https://h/"),
    # brackets
    ("token=))abc n", "token=[redacted] n"),
    ("password=a))b n", "password=[redacted] n"),
    ("Login(a=(password=x))", "Login(a=(password=[redacted]))"),
    ("password=ab(cd99 user=bob", "password=[redacted] user=bob"),
    ("Password=a(b;Encrypt=yes", "Password=[redacted];Encrypt=yes"),
    ("password=a<b9 n", "password=[redacted] n"),
    ("password=<!b9 n", "password=[redacted] n"),
    ("<b>password=abc</b><br>", "<b>password=[redacted]</b><br>"),
    ("<p>Password:</p> <b>x</b>", "<p>Password:</p> <b>x</b>"),
    ("password={a;b}c n", "password=[redacted] n"),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_a_value_goes_whole_and_alone(text, expected):
    """Calls, objects, prefixes, quotes and brackets go with the value, the surroundings stay."""
    assert redactor.text(text) == expected
    assert redactor.text(expected) is expected


@pytest.mark.parametrize(
    "text",
    [
        "SyntaxError: unexpected token: UUID('x')",
        "    token = parse(text, kind=1)",
        "passwords: they are bad",
        "the customer's token, and the user's secret (see below)",
        "password=None, token=null)",
    ],
)
def test_words_in_prose_and_source_code_stay(text):
    """The word alone says nothing in a sentence or in a line of a traceback."""
    assert redactor.text(text) is text


secrets = st.text("abcXYZ019-_.~!*+$#@^'()[]{}>", min_size=1, max_size=12).map(lambda text: f"Q{text}Q")


@settings(max_examples=300, deadline=None)
@given(
    secrets,
    st.sampled_from(["password={0}", "token={0} n", "GET ?a=1&api_key={0} n", "Authorization: Token {0}\n"]),
)
def test_quotes_and_brackets_inside_hide_nothing_behind_them(secret, form):
    """The end of a bare secret goes too, unless quotes and delimiters stand side by side in it."""
    shown = redactor.text(form.format(secret))

    assert redactor.text(shown) == shown
    if not re.search(r"['>][^\w$@#*^~]|[)\]}]['>]", secret):
        assert "Q" not in shown


HOSTILE = [
    "password=a(", "password=a('", "password=a(b=", "password=a(\\'", "password=a('\n", "password=a(b)", "password=u'",
    "password='''", 'password="""', "password=<a ", "password=<a '\"", "password=<", "password=a'b", "password=''b",
    "it''s", "password=))", "password=a<b", "password=\\'a", 'cookie: a="', "token = a(",
]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "password=", "password=a('"])
def test_time_is_linear_on_hostile_values(prefix):
    """Four times the text takes nowhere near sixteen times as long, whatever it repeats."""
    assert_linear(redactor.text, HOSTILE, prefix)


@pytest.mark.parametrize(
    "atom", ["password=a('", "password=a('\n", 'password="""', "password=<a '", "password=a'b", "password=))"]
)
def test_a_megabyte_of_open_values_is_read_in_a_blink(atom):
    """One megabyte costs no more than a hundred passes of a simple pattern."""
    assert_blink(redactor.text, atom)
