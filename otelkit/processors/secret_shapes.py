"""Secrets inside a text, recognised by their shape; only the secret part is replaced.

All rules take time linear in the text's length on any input: no pattern can read one run of
characters in two ways, and a run that was refused is not read again.
"""

from __future__ import annotations

import base64
import re

from otelkit.processors.secret_keys import words

__all__ = ["PLACEHOLDER", "hide_shapes", "may_hide"]

PLACEHOLDER = "[redacted]"

Match = re.Match[str]

# It begins with a set of characters that most texts lack, which the engine searches fast.
_card_like = re.compile(
    r"[2-6](?<![0-9A-Za-z].)(?:[0-9]{12,18}"
    r"|[0-9]{3}([ -])(?:[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?|[0-9]{6}\1[0-9]{4,5}))(?![0-9])"
).search


def may_hide(text: str) -> bool:
    """Whether ``text`` holds anything without which no rule of redaction applies; cheap."""
    return (
        "=" in text
        or ":" in text
        or "_" in text
        or "-" in text
        or "A" in text  # BEARER, BASIC, and the prefixes of two cloud providers
        or "earer" in text
        or "asic" in text
        or "eyJ" in text
        or '",' in text
        or "'," in text
        or "%" in text  # of "=" and ":" encoded for a URL
        or (
            # Substrings are found many times faster than a set of characters.
            ("4" in text or "5" in text or "3" in text or "6" in text or "2" in text)
            and _card_like(text) is not None
        )
    )


def hide_shapes(text: str) -> str:
    """``text`` without private keys, tokens, passwords in addresses and card numbers.

    Args:
        text: Any string.

    Returns:
        The same object when there is nothing to hide.
    """
    shown = text
    if "-----BEGIN " in text:
        shown = _PRIVATE_KEY.sub(_hide_private_key, shown)
    if "@" in text and "://" in text:
        shown = _ADDRESS.sub(_hide_userinfo, shown)
    if "eyJ" in text:
        shown = _DOTTED.sub(_hide_jwt, shown)
    if "earer" in text or "asic" in text or "EARER" in text or "ASIC" in text:
        shown = _SCHEME.sub(_hide_scheme, shown)
    if "_" in text or "-" in text or "AKIA" in text or "ASIA" in text or "AIza" in text:
        shown = _PREFIXED.sub(_hide_prefixed, shown)
    if _card_like(text) is not None:
        shown = _hide_cards(shown)
    return text if shown == text else shown


# Private keys: in lines, in one line, with escaped line ends. A block cut short ends with the text.

_PRIVATE_KEY = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----).*?"
    r"(-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)


def _hide_private_key(match: Match) -> str:
    return f"{match[1]}{PLACEHOLDER}{match[2]}"


# Passwords in URLs and connection strings: user, host and path stay.

_ADDRESS = re.compile(r"://[^\s\"'`]+")
_AUTHORITY_END = re.compile(r"[/?#\\]|$")
_WEB = ("http", "https", "ws", "wss")


def _hide_userinfo(match: Match) -> str:
    run = match[0]
    last_at = run.rfind("@")
    is_web = match.string[max(0, match.start() - 5) : match.start()].lower().endswith(_WEB)
    shown, done, place = [], 0, 0
    while 0 <= place < last_at:
        start, end = _password(run, place + 3, last_at, is_web=is_web)
        if start < end:
            shown += [run[done:start], PLACEHOLDER]
            done = end
        place = run.find("://", max(end, place + 3))
        is_web = run[max(0, place - 5) : max(0, place)].lower().endswith(_WEB)
    return "".join(shown) + run[done:]


def _password(run: str, start: int, last_at: int, *, is_web: bool) -> tuple[int, int]:
    """Where the password of the address at ``start`` begins and ends; (0, 0) when it has none."""
    end = _AUTHORITY_END.search(run, start).start()  # type: ignore[union-attr]  # `$` always matches
    at = run.rfind("@", start, end)
    colon = run.find(":", start, at if at >= 0 else end)
    if colon < 0 or run.startswith("[", start):  # an IPv6 host
        return 0, 0
    if at < 0:
        if run[colon + 1 : end].partition(",")[0].isdigit() or colon + 1 == end:
            return 0, 0  # host:port
        at = last_at  # an unescaped "/", "?" or "#" in the password
    elif not is_web:
        at = last_at  # an unescaped "@" as well: the address of a database has no other one
    return colon + 1, at


# JSON web tokens, within the maximal run of their alphabet; "eyJ" is base64 for '{"'.

_DOTTED = re.compile(r"[A-Za-z0-9_.-]{10,}")
_MIN_JWT_HEAD = 6


def _hide_jwt(match: Match) -> str:
    run = match[0]
    start = run.find("eyJ")
    while start >= 0:
        dot = run.find(".", start)
        if dot < 0:
            return run
        if dot - start >= _MIN_JWT_HEAD and (run.startswith("eyJ", dot + 1) or run.find(".", dot + 1) >= 0):
            return run[:start] + PLACEHOLDER
        start = run.find("eyJ", dot)
    return run


# `Bearer x` and `Basic x`; both words are also words of plain language.

_SCHEME = re.compile(r"\b((bearer|basic)(?:%20|[ \t+]){1,4})([A-Za-z0-9._~+/%-]+=*)", re.IGNORECASE)
_PROSE = words(
    "access and are auth authentication authorization challenge credential credentials error expired for"
    " format from has header in invalid is method missing must not of or prefix realm required scheme"
    " schema security should string style to token tokens type value was with"
)
_MAX_PROSE_LENGTH = 16


def _hide_scheme(match: Match) -> str:
    head, scheme, secret = match.groups()
    word = secret.rstrip(".")
    if scheme.lower() == "basic":
        is_secret = _is_basic(word)
    elif scheme.islower():  # "the bearer certificate"
        is_secret = not (word.isalpha() and word.islower() and len(word) <= _MAX_PROSE_LENGTH)
    else:
        is_secret = word.lower() not in _PROSE
    return f"{head}{PLACEHOLDER}" if word and is_secret else match[0]


def _is_basic(word: str) -> bool:
    if word.endswith("="):
        return True
    try:
        return b":" in base64.b64decode(word[: len(word) // 4 * 4], validate=True)
    except ValueError:
        return False


# Tokens that their issuers made recognisable.

_PREFIXED = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[A-Za-z0-9-]{8,}"
    r"|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{8,}|A(?:KIA|SIA)[A-Z0-9]{12,}|AIza[\w-]{30,}"
    r"|hf_[A-Za-z0-9]{24,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|shpat_[A-Za-z0-9]{24,}"
)
_MIN_RANDOM_LENGTH = 16


def _hide_prefixed(match: Match) -> str:
    token, before = match[0], match.string[max(0, match.start() - 3) : match.start()]
    if before[-1:].isalnum() and before.upper() != "%20":
        return token
    if token.startswith("sk-") and not _has_random_part(token):
        return token  # words with dashes, or a UUID
    return PLACEHOLDER


def _has_random_part(token: str) -> bool:
    parts = token.replace("_", "-").split("-")
    return any(len(part) >= _MIN_RANDOM_LENGTH and not part.isalpha() for part in parts)


# Card numbers: the first digits, lengths and layouts that issuers use, and the check digit.

_ISSUED = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}"  # Discover
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|62[0-9]{14,17}"  # UnionPay
    r"|(?:50[0-9]{2}|5[6-8][0-9]{2}|6(?:304|39[0-9]|7[0-9]{2}))[0-9]{9,15}"  # Maestro
)
_HEX = frozenset("0123456789abcdefABCDEF")


def _hide_cards(text: str) -> str:
    shown, done, place = [], 0, 0
    while match := _card_like(text, place):
        start, end = match.span()
        digits = match[0].replace(" ", "").replace("-", "")
        if _ISSUED.fullmatch(digits) and _stands_alone(text, start, end) and _luhn(digits):
            shown += [text[done:start], PLACEHOLDER]
            done = place = end
        else:
            place = start + 1  # the next group may begin a card number; a match is short
    return "".join([*shown, text[done:]]) if shown else text


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the digits are no part of a longer number, identifier or UUID."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum():
        return False
    if before[-1:] in ("-", ".") and before[:-1] in _HEX:
        return False
    return not (after[:1] in ("-", ".") and after[1:] in _HEX)


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    doubled = "".join([str(int(digit) * 2) for digit in digits[-2::-2]])
    plain = [int(digit) for digit in digits[-1::-2]]
    # The digits of a doubled 5 to 9 are added: 2 * 7 = 14 counts 1 + 4.
    return (sum(plain) + sum(map(int, doubled))) % 10 == 0
