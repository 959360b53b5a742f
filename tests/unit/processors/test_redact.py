"""Secrets are hidden by key and by shape, ordinary telemetry passes as the same object."""

from __future__ import annotations

import base64
import re
import time
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelkit import _guard
from otelkit.processors.redact import PLACEHOLDER, Redactor, Shaped
from otelkit.processors.secret_keys import _TABLE, STEMS, Verdict, judge

redactor = Redactor.of(True)

SECRET_KEYS = """
password Password PASSWORD passwd pwd user.password db_password dbPassword PGPASSWORD password2 passWord
password_hash password_confirmation smtp.passphrase secret client_secret clientSecret CLIENT-SECRET
app.secret_value token access_token refresh_token auth.token idToken id_token accesstoken x-auth-token
X-CSRF-Token csrfmiddlewaretoken next_page_token password_reset_token session.token
api_key apikey apiKey API-Key x-api-key openai_api_key OPENAI_API_KEY_2 authorization Authorization
proxy-authorization http.request.header.authorization http.request.header.x-api-key
http.response.header.set_cookie cookie Cookie set-cookie cookies credential credentials aws.credentials
private_key privateKey private_key_pem access_key secret_key secretAccessKey signature X-Amz-Signature
x-hub-signature-256 sig cvv cvc card_number cardNumber credit_card pin card_pin otp otp_code totp ssn
passwords user.passwords client_assertion id_token_hint SAMLResponse saml_response
sessionid JSESSIONID connect.sid jwt user[password] user%5Bpassword%5D AccountKey encryption_key
""".split()

OPEN_KEYS = """
llm_tokens_used max_tokens token_count tokens gen_ai.usage.input_tokens gen_ai.usage.output_tokens
token_type llm.time_to_first_token cost_per_token password_length password.changed_at passwordless
secret_name access_key_id api_key_id author authority auth.method authorization.policy cookie_count
url.full url.path url.query db.query.text db.system.name db.operation.name enduser.id session.id
session_id user.id code.function.name code.function.signature method_signature messaging.message.id
messaging.kafka.message.key routing_key partition_key primary_key cache_key idempotency_key public_key
http.request.method http.route http.response.status_code http.request.header.content-type
server.address network.peer.address exception.type exception.message service.instance.id trace_id
span_id event message shipping gpio.pin signal design spinning tokenizer.name keyboard compass
process.pid thread.name k8s.pod.uid host.name card_type credit.score otp.version message_sid query.length
client_assertion_type assertion saml_request auth code state pass ticket http.response.status passwords_allowed
""".split()


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_secret_keys_hide_their_value(key):
    """Every writing of a secret name hides the value, also behind the name inside a text."""
    assert redactor.value(key, "hunter2") == PLACEHOLDER
    assert redactor.fields({"a": {"b": [{key: "hunter2"}]}}) == {"a": {"b": [{key: PLACEHOLDER}]}}
    assert "hunter2" not in redactor.text(f"https://h/p?{key}=hunter2&x=1")
    assert "hunter2" not in redactor.text(f'{{"{key}": "hunter2"}}')


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_ordinary_keys_keep_their_value(key):
    """A word inside a longer name, or a name that only describes a secret, hides nothing."""
    value = "plain value"

    assert redactor.value(key, value) is value
    assert redactor.value(key, 42) == 42
    for text in (f"{key}=42 next", f'{{"{key}": "value"}}', f"{key}: value"):
        assert redactor.text(text) is text


@pytest.mark.parametrize("value", [None, True, False, "", b"", (), [], {}], ids=repr)
def test_values_that_tell_nothing_stay(value):
    """Whether a secret is there at all is worth knowing and may be seen."""
    assert redactor.value("password", value) is value


@pytest.mark.parametrize(
    "value", ["x", 1234, 0, 1.5, b"x", {"user": "bob"}, object()], ids=lambda v: type(v).__name__
)
def test_any_other_value_of_a_secret_key_is_hidden(value):
    """Numbers, mappings and unknown objects are hidden whole."""
    assert redactor.value("password", value) == PLACEHOLDER


def test_a_list_of_a_secret_key_stays_a_list():
    """A header's values are a list in the conventions, and stay one."""
    assert redactor.value("http.request.header.authorization", ("Bearer x", "y")) == (PLACEHOLDER,)
    assert redactor.value("authorization", ["Bearer x"]) == [PLACEHOLDER]


def test_lists_of_headers_are_read_as_pairs():
    """Headers as pairs of text or bytes, as ASGI and http libraries hold them."""
    headers = [("Accept", "json"), ("Authorization", "Basic x"), (b"cookie", b"a=b")]

    assert redactor.value("headers", headers) == [
        ("Accept", "json"),
        ("Authorization", PLACEHOLDER),
        (b"cookie", PLACEHOLDER),
    ]
    names = ("password", "email")
    assert redactor.value("form.fields", names) is names


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
BASIC = base64.b64encode(b"user:hunter2").decode()
PEM = "-----BEGIN RSA PRIVATE KEY-----{0}MIIEowIBAAKCAQEA{0}7bq+/=={0}-----END RSA PRIVATE KEY-----"

TEXTS = [
    ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
    ("sent Bearer abc123 to h", "sent Bearer [redacted] to h"),
    (f"with Basic {BASIC} at h", "with Basic [redacted] at h"),
    (f"got {JWT} from bob", "got [redacted] from bob"),
    (f"q=1&jwt%20{JWT}", "q=1&jwt%20[redacted]"),
    (PEM.format("\n") + " end", "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY----- end"),
    (PEM.format("\\n"), "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN PRIVATE KEY-----[redacted]"),
    ("card 4111 1111 1111 1111 12/29", "card [redacted] 12/29"),
    ("card 4111-1111-1111-1111.", "card [redacted]."),
    ("5 4111111111111111 x", "5 [redacted] x"),
    ("1234 4111 1111 1111 1111", "1234 [redacted]"),
    ("3782 822463 10005", "[redacted]"),
    ("378282246310005", "[redacted]"),
    ("4222222222222", "[redacted]"),
    ("5555555555554444,6011111111111117", "[redacted],[redacted]"),
    ("https://bob:hunter2@h.example/p?x=1", "https://bob:[redacted]@h.example/p?x=1"),
    ("https://u:p@h/p?mail=a@b.c", "https://u:[redacted]@h/p?mail=a@b.c"),
    ("https://u:p@h/a,https://u:p@h/b", "https://u:[redacted]@h/a,https://u:[redacted]@h/b"),
    ("postgresql://u:p@h:5432/db", "postgresql://u:[redacted]@h:5432/db"),
    ("postgresql+asyncpg://u:p@ss/w:#?rd@h/db", "postgresql+asyncpg://u:[redacted]@h/db"),
    ("redis://:hunter2@h:6379/0", "redis://:[redacted]@h:6379/0"),
    ("mongodb://u:p@h1:27017,h2:27017/db", "mongodb://u:[redacted]@h1:27017,h2:27017/db"),
    ("GET /p?token=abc&x=1", "GET /p?token=[redacted]&x=1"),
    ("https://h/?sig=a%2Bb&X-Amz-Signature=ff&y", "https://h/?sig=[redacted]&X-Amz-Signature=[redacted]"),
    ("host=h user=u password=hunter2 dbname=d", "host=h user=u password=[redacted] dbname=d"),
    ("host=h password='it\\'s' dbname=d", "host=h password='[redacted]' dbname=d"),
    ("Server=h;User Id=sa;Password=a,b)c;Encrypt=yes", "Server=h;User Id=sa;Password=[redacted];Encrypt=yes"),
    ("DSN=x;PWD={a;b};APP=y", "DSN=x;PWD=[redacted];APP=y"),
    ("password = hunter2\nuser = bob", "password = [redacted]\nuser = bob"),
    ('{"a":1,"password":"x\\"y","n":2}', '{"a":1,"password":"[redacted]","n":2}'),
    ('{"pin":1234,"n":2}', '{"pin":"[redacted]","n":2}'),
    ('{"credentials":{"user":["a"],"x":"}"},"n":2}', '{"credentials":"[redacted]","n":2}'),
    ('{\\"token\\":\\"abc\\",\\"n\\":2}', '{\\"token\\":\\"[redacted]\\",\\"n\\":2}'),
    ("{'secret': b'abc', 'n': 2}", "{'secret': b'[redacted]', 'n': 2}"),
    ("connect(host='h', password='x')", "connect(host='h', password='[redacted]')"),
    ("Login(user=bob, token=abc)", "Login(user=bob, token=[redacted])"),
    ('[["authorization","Basic x"],["accept","y"]]', '[["authorization","[redacted]"],["accept","y"]]'),
    ("[(b'cookie', b'a=b; c=d')]", "[(b'cookie', b'[redacted]')]"),
    ("Cookie: a=b; c=d\nHost: h", "Cookie: [redacted]\nHost: h"),
    ('authorization: Digest username="u", response="r"', "authorization: Digest [redacted]"),
    ("ghp_" + "a1B2" * 9, "[redacted]"),
    ("use github_pat_" + "a1B2" * 9 + " now", "use [redacted] now"),
    ("xoxb-123456789012-abcdefABCDEF", "[redacted]"),
    ("key AKIAIOSFODNN7EXAMPLE", "key [redacted]"),
    ("sk-proj-" + "aB3d" * 8, "[redacted]"),
    ("sk_live_" + "aB3d" * 6, "[redacted]"),
    ("AIza" + "aB3-d" * 7, "[redacted]"),
    ("line\\ntoken=abc", "line\\ntoken=[redacted]"),
    ("https://api_key:hunter2@h/p", "https://api_key:[redacted]@h/p"),
    ("3000 4111 1111 1111 1111", "3000 [redacted]"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_secrets_in_texts(text, expected):
    """Only the secret part goes, what surrounds it stays, and a second pass changes nothing."""
    shown = redactor.text(text)

    assert shown == expected
    assert redactor.text(shown) is shown


ORDINARY = [
    "checkout of three items was done",
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-4111-1111-1111-111111111111",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "41111111111111112222333344445555",
    "a4111111111111111",
    "f-4111111111111111",
    "0.4111111111111111",
    "1700000000000",
    "1700000000000000000",
    "2026-11-23T06:24:02.123456+00:00",
    "2026-11-23 06:24:02 4111",
    "978-3-16-148410-0",
    "9783161484100",
    "4111 1111 1111 1112",
    "+49 30 1234567890",
    "/usr/lib/python3.11/site-packages/otelkit/processors/redact.py:42",
    "C:\\Users\\bob\\token.txt",
    "https://api.example.com:8080/v1/items?page=2&sort=name#top",
    "https://medium.example/@bob/a:b",
    "http://[::1]:8080/x@y",
    "ssh://git@github.example/a/b.git",
    "kafka://h1:9092,h2:9092/topic@x",
    "redis://h:6379/0?client=a@b",
    "SELECT id, password FROM users WHERE token = $1 AND password = %s AND x = ?",
    "bob@example.com",
    "10.0.0.1:5432, ::1, 192.168.0.1/24",
    "1.45.0rc1+local-build.7",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "SyntaxError: unexpected token: ')'",
    "the bearer of this letter",
    "Bearer token is missing",
    "Basic authentication failed for bob",
    "invalid API key",
    "password is required",
    "password: null, token=None, 'secret': None",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "sk-learn-pipeline-component",
    "sk-550e8400-e29b-41d4-a716-446655440000",
    "task_12 hf_hub npm_config_cache",
    "eyJ",
    "pytest==9.2.0",
    "user-agent: Mozilla/5.0 (X11; Linux x86_64)",
    "checkout.completed",
    "archon_agent.knowledge_search",
    "gen_ai.usage.input_tokens=12 token_count=3",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts_are_untouched(text):
    """What telemetry is made of comes back as the same object, in any place."""
    nested = {"a": (text, {"b": [text]})}

    assert redactor.text(text) is text
    assert redactor.value("event", text) is text
    assert redactor.fields(nested) is nested


def test_secrets_in_nested_texts_and_keys_are_found():
    """Strings and bytes at any depth are read, and so are the keys of inner mappings."""
    given = {"a": ({"b": ["https://u:p@h/"]}, b"Bearer abc123"), "c": {"https://u:p@h/": 1}}

    assert redactor.fields(given) == {
        "a": ({"b": ["https://u:[redacted]@h/"]}, b"Bearer [redacted]"),
        "c": {"https://u:[redacted]@h/": 1},
    }


def test_a_json_attribute_of_a_mapping_is_covered():
    """A mapping set on a span is JSON text by the time it is redacted; its secrets go all the same."""
    from otelkit.processors.limits import span_value

    payload = {"user": {"name": "bob", "apiKey": "k-1"}, "headers": [("cookie", "c-1"), ("x-api-key", "k-2")]}
    shown = redactor.value("payload", span_value(payload))

    assert "bob" in shown
    assert not {"k-1", "c-1", "k-2"} & set(re.findall(r"[kc]-\d", shown))


def test_what_is_not_plain_data_passes_unread():
    """No application code runs: unknown objects come back as they are, deep ones are hidden."""

    class Strange(dict):
        items = keys = __iter__ = __len__ = None

    thing, deep = object(), []
    for _ in range(3_000):
        deep = [deep]

    assert redactor.value("a", thing) is thing
    assert redactor.value("a", Strange(password="x")) == {"password": PLACEHOLDER}
    assert PLACEHOLDER in repr(redactor.value("a", deep))


def test_fields_takes_any_mapping_and_leaves_it_alone():
    """A new dict is made only where something is hidden; the given mapping is never changed."""
    clean, dirty = {"a": 1, "b": "x"}, {"a": 1, "password": "x"}

    assert redactor.fields(clean) is clean
    assert redactor.fields(MappingProxyType(clean)) == clean
    assert redactor.fields(dirty) == {"a": 1, "password": PLACEHOLDER}
    assert dirty["password"] == "x"


def test_shaped_attributes_are_not_read_again():
    """What was redacted at its birth passes the later doors as the same object."""
    shaped = Shaped(password="seen by the first door")

    assert redactor.fields(shaped) is shaped


def test_false_switches_everything_off():
    """With redact=False everything passes."""
    off = Redactor.of(False)
    fields = {"password": "x"}

    assert off.text("Bearer abc123") == off.scrub("Bearer abc123") == "Bearer abc123"
    assert off.value("password", "x") == "x"
    assert off.fields(fields) is fields


def test_names_are_added_to_the_built_in_ones():
    """A name of one's own is matched on whole segments at any place of a key, and inside texts."""
    own = Redactor.of(["email", "customer.no"])

    assert (
        own.value("user.email", "a")
        == own.value("customerNo", "a")
        == own.value("password", "a")
        == PLACEHOLDER
    )
    assert own.value("emails", "a") == own.value("customer", "a") == "a"
    assert own.text("email=a&x=1 'email': 'b'") == "email=[redacted]&x=1 'email': '[redacted]'"
    assert Redactor.of("email").value("email", "a") == PLACEHOLDER


def test_patterns_hide_what_they_match():
    """A pattern's match is replaced in every text, in addition to the built-in rules."""
    own = Redactor.of([re.compile(r"CUST-\d+"), re.compile("x*")])

    assert own.text("for CUST-42 by Bearer abc1") == "for [redacted] by Bearer [redacted]"
    assert own.value("note", ["CUST-1", "plain"]) == [PLACEHOLDER, "plain"]


def test_a_callback_runs_after_the_built_in_rules():
    """It sees each entry at any depth with what the rules left, and texts under an empty key."""
    seen = []
    own = Redactor.of(lambda key, value: seen.append((key, value)) or ("<mail>" if key == "email" else value))

    assert own.fields({"password": "x", "user": {"email": "a", "id": 7}}) == {
        "password": PLACEHOLDER,
        "user": {"email": "<mail>", "id": 7},
    }
    assert own.text("Bearer abc1") == "Bearer [redacted]"
    assert seen[0] == ("password", PLACEHOLDER)
    assert seen[-1] == ("", "Bearer [redacted]")


def test_what_a_callback_returns_becomes_plain_data():
    """An object that it returns is a snapshot before it goes on; a text stays a text."""
    own = Redactor.of(lambda key, value: {"was": [value]} if key else 7)

    assert own.value("a", 1) == {"was": (1,)}
    assert own.text("a") == "7"


def test_a_callback_that_raises_hides_the_value(said):
    """The value is hidden, the failure counted and said once, without the value."""

    def broken(key, value):
        raise KeyError(value)

    with _guard.reraise(False):
        own = Redactor.of(broken)
        assert own.value("a", "hunter2") == own.text("hunter2") == PLACEHOLDER
        assert own.scrub("of ours") == "of ours"

    lines = said()
    assert _guard.failures()["redact.callback"] == 2
    assert len(lines) == 1
    assert "KeyError" in lines[0]
    assert "hunter2" not in lines[0]


def test_rules_that_cannot_be_used_are_named(said):
    """A wrong rule costs one line; the others are used."""
    own = Redactor.of(["email", 7, re.compile(b"x"), "***"])

    assert own.value("email", "a") == PLACEHOLDER
    assert len(said()) == 3


def test_redactors_of_equal_rules_are_equal():
    """Two configurations can be compared, whatever was remembered meanwhile."""
    one, other = Redactor.of(["email"]), Redactor.of(["email"])
    one.fields({"a": "b=c"})

    assert one == other != Redactor.of(True)


def test_memory_stays_bounded():
    """Keys and texts are remembered up to a limit, however many different ones come."""
    own = Redactor.of(True)
    for number in range(10_000):
        own.value(f"key.{number}", f"value-{number}")

    assert len(own._verdicts) <= 4_096
    assert len(own._clean) <= 4_096


def test_every_word_of_the_table_is_a_secret_with_a_stem():
    """No row is dead: each word alone is secret, and the quick look at a text cannot miss it."""
    for _, row in _TABLE:
        for word in row.split():
            assert judge(word) is not Verdict.OPEN, word
            assert any(stem in word.replace("_", "") and stem in word for stem in STEMS), word


HOSTILE = [
    "a", "Aa", "aA1", "eyJ", "eyJ.", "eyJaaaaaaaa.", "1", "4", "1 ", "1-", "4111 1111 1111 1111 ", "4-4-", "\\",
    "-----BEGIN", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "://", "://a:b@", "http://a:b@", "http://a:b", "@",
    "=", ":", '"', "'", "\\'", "{", "[", "('cookie',", "password=", "password='", 'password="\\', "token: ",
    "password={", "password=,a", "password=]a", "token'", "=a;", "bearer ", "Bearer a", "basic a=", "gh", "ghp_",
    "sk-", "sk-a", "AKIA", "xoxb-", "_", "-", ".", "%", "%20", " ", "\n", "authorization=a=b,", "cookie: ",
]  # fmt: skip


def seconds(function, text):
    """The processor time of this thread: another program on the machine does not count."""
    taken = []
    for _ in range(2):
        begin = time.thread_time()
        function(text)
        taken.append(time.thread_time() - begin)
    return min(taken)


def assert_linear(function, atoms, prefix="", suffix=""):
    for atom in atoms:
        small, large = (
            prefix + (atom * (size // len(atom) + 1))[:size] + suffix for size in (16_384, 65_536)
        )
        assert any(  # a busy machine gets more than one chance
            seconds(function, large) < 8 * seconds(function, small) + 0.005 for _ in range(4)
        ), atom


def assert_blink(function, atom, passes=100):
    text = (atom * (1_000_000 // len(atom) + 1))[:1_000_000] + "."
    assert seconds(function, text) < passes * seconds(re.compile("[^x]").findall, text), atom


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [("", ""), ("", "."), ("password=", ""), ("password=x ", ""), ('{"authorization": ', "")],
)
def test_time_is_linear_on_hostile_texts(prefix, suffix):
    """Four times the text takes nowhere near sixteen times as long, whatever it repeats."""
    assert_linear(redactor.text, HOSTILE, prefix, suffix)


def test_a_megabyte_is_read_in_a_blink():
    """One megabyte of the worst texts costs no more than thirty passes of a simple pattern."""
    for atom in ("a", "eyJ", "1 ", "-----BEGIN", "://", "@", "\\'", "password=,a"):
        assert_blink(redactor.text, atom, passes=30)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(HOSTILE + [text for text, _ in TEXTS]) | st.text(max_size=8), max_size=8))
def test_any_mixture_is_read_without_error(parts):
    """Arbitrary mixtures never raise; where nothing is hidden, the same object comes back."""
    text = "".join(parts)
    shown = redactor.text(text)

    assert shown is text or PLACEHOLDER in shown
    assert PLACEHOLDER in redactor.text(shown) or shown is text


secrets = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!*+", min_size=6, max_size=24
).map(lambda text: "Q" + text + "Q")


@settings(max_examples=200, deadline=None)
@given(
    secrets,
    st.sampled_from(["password={0}", "https://h/?api_key={0}&a=1", "redis://u:{0}@h/0", '"client_secret": "{0}"',
                     "Authorization: Token {0}", "x-api-key: {0}", "Pwd={0};A=1", "{{'token': '{0}'}}", "Cookie: s={0}; t=1"]),
    st.text(max_size=12).map(lambda text: f"{text} "),
    st.text(max_size=12).map(lambda text: f" {text}"),
)  # fmt: skip
def test_no_secret_survives_its_surroundings(secret, form, before, after):
    """Whatever stands around it, a secret in one of the usual forms is gone."""
    shown = redactor.text(before + form.format(secret) + after)

    assert secret not in shown
    assert PLACEHOLDER in shown
