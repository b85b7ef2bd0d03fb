"""What may be repeated of addresses and foreign texts, and how.

Passwords and tokens are kept out of everything that people read: `redact_url` for a setting that is
an address, `redact_text` for a text that may hold some, `quote` for one that stands in a sentence,
`spell` for a block of lines on a terminal, `spell_error` for a traceback, `without` for what is
known. Where it is not clear whether something is part of a login, it is not shown.
"""

import re
import traceback
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

__all__ = ["printable", "quote", "redact_text", "redact_url", "spell", "spell_error", "without"]

_MASK = "***"
# So much of a foreign text is looked at, in characters, where a few hundred are to be shown.
_READ = 100_000
_LONGEST_ADDRESS = 1000
# A shorter one is a word or a syllable of many a sentence.
_SHORTEST_SECRET = 4
# Compiled once they are used (re keeps what it has compiled): most tasks never need them.
# The scheme is bounded: a long word in a hostile answer would be read again from each character.
_ADDRESS = r"(?P<scheme>[a-zA-Z][\w+.-]{0,31}:/+)(?P<rest>[^\s\"'<>`]++)"
# What people write without a scheme, at the beginning of a word.
_BARE_LOGIN = r"(?<![^\s\"'`<>=(,;])(?P<user>[\w.%+~-]{0,64}):(?!/)[^\s\"'`<>]{1,128}@(?=[\w.\[-])"
_FILES = ("file", "sqlite")
# An @ may well be in the path of the web: at the beginning of a name, or in a query.
_CLEAR = (
    r"(?as)(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+(?=:)|\[[\da-fA-F:.]+\])(?::\d{1,5})?"
    r"(?:/@?[^@?#/]*+)++(?:[?#].*)?"
)
# As queries, forms, JSON and libpq's settings have them. Not after a colon alone, which ends the
# sentences that name such a setting; and not after every "key", which labels and parameters have.
_SETTING = (
    r"(?i)(?P<name>(?:pass(?:word|wd|phrase)?|pwd|token|secret|credentials?|signature|"
    r"(?:api|access|private)[_-]?key)[\w.-]{0,24}(?:[\"']?\s{0,2}=|[\"']\s{0,2}:)\s{0,2})"
    r"(?:'[^']{0,999}'?|\"[^\"]{0,999}\"?|[^\s\"'&,;)}\]]+)"
)
_AUTHORIZATION = (
    r"(?i)(?P<name>\bauthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:[a-z]{1,10}\s{1,2})?|\bbearer\s{1,2}"
    r"(?=[\w.~+/-]{0,99}\d)|\bbasic\s{1,2}(?=[\w+/]{0,999}(?:\d|=|(?-i:[a-z][A-Z]))))"
    r"[\w.~+/=-]{8,}"
)
_TELLING_NAME = r"(?i)pass|pwd|token|secret|key|credential|sig|auth|code|session|jwt"


def redact_url(url: str) -> str:
    """Return *url*, on one line, with `***` for the login and secret-looking parameters."""
    bare = _without_login(url)
    place, mark, rest = _split(bare, "?#")
    query, hash_, fragment = (rest, "", "") if mark == "#" else _split(rest, "#")
    shown = f"{place}{mark}{_without_secrets(query)}{hash_}{_without_secrets(fragment)}"
    return _printable(redact_text(shown))[:_LONGEST_ADDRESS]


def redact_text(text: str) -> str:
    """Return *text* with `***` for the secrets in it that can be told by their looks.

    These are the login of an address, the value of what is called password, token, secret and so on
    in a query, in JSON or in a setting, and what stands in an Authorization header.
    """
    text = re.sub(_ADDRESS, lambda match: _without_login(match[0]), text)
    text = re.sub(_BARE_LOGIN, rf"\g<user>:{_MASK}@", text)
    text = re.sub(_AUTHORIZATION, rf"\g<name>{_MASK}", text)
    return re.sub(_SETTING, rf"\g<name>{_MASK}", text)


def quote(text: str, longest: int = 300) -> str:
    """Return *text* fit for a sentence: redacted, on one line, cut to *longest* characters."""
    line = " ".join(_printable(redact_text(_beginning(text))).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def spell(text: str) -> str:
    """Return *text*, of any number of lines, redacted, and without what a terminal would obey."""
    return printable(redact_text(text))


def spell_error(error: BaseException) -> str:
    """Return the traceback of *error* in the same way: what others raised may name a login."""
    return spell("".join(traceback.format_exception(error)))


def without(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with `***` for *secrets*, which are known; short ones are left."""
    # The longest first: another may be a part of it.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _MASK)
    return text


def printable(text: str) -> str:
    """Return *text*, of any number of lines, without what a terminal would obey."""
    return "\n".join(map(_printable, text.split("\n")))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _beginning(text: str) -> str:
    """Return what is worth reading of *text*, in whole words: half a login is not known as one."""
    if len(text) <= _READ:
        return text
    words = text[:_READ].rsplit(maxsplit=1)
    return f"{words[0]} …" if len(words) > 1 else "…"


def _without_login(url: str) -> str:
    """Return *url* with `***` for its login, however that is written."""
    match = re.match(r"(?:[a-zA-Z][\w+.-]*:)?/+", url)
    scheme = match[0] if match else ""
    login, at, host = url.removeprefix(scheme).rpartition("@")
    name, _, slashes = scheme.partition(":")
    is_file = name.lower() in _FILES and len(slashes) > len("//")
    is_clear = (
        name.lower() in {"http", "https"}
        and slashes == "//"
        and re.fullmatch(_CLEAR, url.removeprefix(scheme))
    )
    if not at or is_file or is_clear:
        return url
    # A lone user part may itself be a token: https://TOKEN@host, https://TOKEN:@host.
    user, _, password = login.partition(":")
    return f"{scheme}{user}:{_MASK}@{host}" if password else f"{scheme}{_MASK}@{host}"


def _without_secrets(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(re.search(_TELLING_NAME, name) for name, _ in pairs):
        return query
    masked = [(name, _MASK if re.search(_TELLING_NAME, name) else value) for name, value in pairs]
    return urlencode(masked, safe="*/:")


def _split(text: str, marks: str) -> tuple[str, str, str]:
    """Return what is before the first of *marks*, that mark, and what is behind it."""
    place = min((place for mark in marks if (place := text.find(mark)) >= 0), default=len(text))
    return text[:place], text[place : place + 1], text[place + 1 :]
