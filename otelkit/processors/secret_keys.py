"""Which names hold secrets: one table of words, matched on whole segments of a key.

A key is cut into segments where its writing changes: ``http.request.header.x-api-key``, ``apiKey``,
``API_KEY`` and ``user[api_key]`` all end in the segments ``api``, ``key``. Digits at the end of a
segment do not count (``password2``). Parts of a word may be joined (``apikey``, ``PassWord``).

========  =================================================================================
where     meaning
========  =================================================================================
anywhere  some segment (or its end: ``PGPASSWORD``) is the word, and the last segment does not
          merely describe it: ``password_hash`` is secret, ``password_length`` is not
last      the key ends in the word, apart from words for its form: ``auth.token``,
          ``access_token_value``; not ``token_count``, ``token_type``, ``llm_tokens_used``
one       the last segment is the word, not joined of two: ``sessionid``, not ``session.id``
alone     the whole key is the word: ``pin``, not ``gpio.pin``
========  =================================================================================

Left visible on purpose: ``session.id`` (a standard attribute), ``access_key_id``, ``public_key``,
``routing_key`` and other keys that name a thing, pagination aside; ``code``, ``pass``, ``auth`` and
``ticket``, which are words (`secret_queries` hides two of them by what stands next to them).
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import pairwise

__all__ = ["STEMS", "Verdict", "judge", "segments", "words"]


def words(text: str) -> frozenset[str]:
    """The words of ``text`` as a set."""
    return frozenset(text.split())


_TABLE: tuple[tuple[str, str], ...] = (
    # where, words (parts joined by "_")
    ("anywhere", "password passwd passphrase passcode"),
    ("last", "pwd db_pass user_pass smtp_pass redis_pass mysql_pass ftp_pass"),
    ("last", "secret secrets client_secret shared_secret"),
    ("last", "token access_token refresh_token id_token auth_token api_token user_token bearer_token"),
    ("last", "session_token security_token csrf_token xsrf_token csrf xsrf csrfmiddlewaretoken jwt bearer"),
    ("last", "api_key secret_key private_key access_key secret_access_key shared_access_key account_key"),
    ("last", "encryption_key signing_key master_key storage_key hmac_key ssh_key rsa_key auth_key"),
    ("last", "subscription_key functions_key license_key application_key app_key"),
    ("last", "authorization proxy_authorization authorization_code basic_auth http_auth proxy_auth"),
    ("last", "cookie cookies set_cookie credential credentials"),
    ("last", "signature sig hmac sas_token"),
    ("last", "credit_card credit_card_number card_number cvv cvc card_cvv card_cvc card_pin pin_code"),
    ("last", "otp otp_code totp mfa_code ssn social_security_number"),
    ("last", "connect_sid"),
    ("last", "passwords client_assertion id_token_hint saml_response"),
    ("one", "sessionid jsessionid phpsessid sessid"),
    ("alone", "pin sid"),
)

_DESCRIBES = words(
    "age algorithm at attempts changed count days enabled expired expires expiration expiry failures"
    " field file id kind len length limit max min name path policy present required rules score"
    " seconds size status strength ttl type uri url valid version"
)
_FORMS = words(
    "b base64 bytes content contents current data encoded hash header hex json new old pem plain"
    " plaintext previous raw sha str string text value"
)
# Words before `token` that make it the unit of language models, as in `time_to_first_token`.
_COUNTED = words(
    "bos cls completion eos first input last mask max min output pad per prompt sep special stop unk"
)
# A signature of code is no secret.
_CODE = frozenset(("call", "class", "code", "function", "method", "type"))
# Words of plain language: "unexpected token: x" in a sentence says nothing secret.
_PROSE = words(
    "bearer credential credentials csrf hmac otp passwords pin secret secrets sid sig signature token"
)

# Each word contains one of these, so that a text without any of them has no such key.
STEMS = (
    *("pass", "pwd", "secret", "token", "key", "auth", "cookie", "cred", "sig", "card"),
    *("csrf", "xsrf", "jwt", "bearer", "hmac", "cvv", "cvc", "pin", "otp", "mfa", "ssn", "sid"),
    *("sess", "social", "assert", "saml"),
)

_MAX_KEY_LENGTH = 1_000
_CUT = re.compile(r"%[0-9A-Fa-f]{2}|[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _joined(where: str) -> frozenset[str]:
    return frozenset(word.replace("_", "") for place, row in _TABLE if place == where for word in row.split())


_ANYWHERE, _LAST, _ONE, _ALONE = map(_joined, ("anywhere", "last", "one", "alone"))
_ENDINGS = tuple(_ANYWHERE)


class Verdict(Enum):
    """What a key says about its value.

    ``WORD`` is a secret whose name is also a word of plain language.
    """

    OPEN = "open"
    WORD = "word"
    SECRET = "secret"  # noqa: S105 - the name of a verdict


def judge(key: str, own: frozenset[tuple[str, ...]] = frozenset()) -> Verdict:
    """Whether ``key`` names a secret.

    Args:
        key: Any text; of a longer one the last 1,000 characters are looked at.
        own: Further names as their `segments`, each matched anywhere in the key.
    """
    parts = segments(key)
    if own and _holds(parts, own):
        return Verdict.SECRET
    if not parts or not _is_secret(parts):
        return Verdict.OPEN
    return Verdict.WORD if len(parts) == 1 and parts[0] in _PROSE else Verdict.SECRET


def segments(key: str) -> tuple[str, ...]:
    """The segments of ``key`` in lower case: ``X-API-Key2`` gives ``("x", "api", "key")``."""
    pieces = (piece.lower().rstrip("0123456789") for piece in _CUT.split(key[-_MAX_KEY_LENGTH:]))
    return tuple(piece for piece in pieces if piece)


def _holds(parts: tuple[str, ...], own: frozenset[tuple[str, ...]]) -> bool:
    lengths = {len(name) for name in own}
    return any(
        parts[start : start + length] in own for length in lengths for start in range(len(parts) - length + 1)
    )


def _is_secret(parts: tuple[str, ...]) -> bool:
    if parts[-1] in _ONE or (len(parts) == 1 and parts[0] in _ALONE):
        return True
    if parts[-1] not in _DESCRIBES and _has_password(parts):
        return True
    end = len(parts)
    while end > 1 and parts[end - 1] in _FORMS:
        end -= 1
    return _ends_in_word(parts[:end])


def _has_password(parts: tuple[str, ...]) -> bool:
    return any(part.endswith(_ENDINGS) for part in parts) or any(
        first + second in _ANYWHERE for first, second in pairwise(parts)
    )


def _ends_in_word(parts: tuple[str, ...]) -> bool:
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    if last == "token":
        return before not in _COUNTED
    if last == "signature":
        return before not in _CODE
    return any("".join(parts[-count:]) in _LAST for count in (1, 2, 3) if count <= len(parts))
