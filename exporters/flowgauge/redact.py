"""Keep passwords and tokens out of everything that people read."""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["quote", "redact_text", "redact_url"]

_MASK = "***"
# So much of a foreign text is looked at, in characters, where a few hundred are to be shown.
_READ = 100_000
# The scheme is bounded: a long word in a hostile answer would be read again from each character.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]{0,31}://)(?P<user>[^\s/?#]*)@")
# As queries, forms, JSON and libpq's settings have them. Not after a colon alone, which ends the
# sentences that name such a setting; and not after every "key", which labels and parameters have.
_SETTING = re.compile(
    r"(?P<name>(?:pass(?:word|wd|phrase)?|pwd|token|secret|credentials?|signature|"
    r"(?:api|access|private)[_-]?key)[\w.-]{0,24}(?:[\"']?\s{0,2}=|[\"']\s{0,2}:)\s{0,2})"
    r"(?:'[^']{0,999}'?|\"[^\"]{0,999}\"?|[^\s\"'&,;)}\]]+)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(?P<name>\bauthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:[a-z]{1,10}\s{1,2})?|\bbearer\s{1,2}"
    r"(?=[\w.~+/-]{0,99}\d))[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(r"pass|token|secret|key|credential|signature", re.IGNORECASE)


def redact_url(url: str) -> str:
    """Return *url* with the password, and secret-looking query parameters, replaced by `***`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return redact_text(url)
    masked = parts
    if _hides_a_login(parts):
        scheme, _, rest = url.partition("://")
        userinfo, _, host = rest.rpartition("@")
        return f"{scheme}://{_mask_userinfo(userinfo)}@{host}"
    if "@" in parts.netloc:
        userinfo, host = parts.netloc.rsplit("@", 1)
        masked = masked._replace(netloc=f"{_mask_userinfo(userinfo)}@{host}")
    query = [
        (name, _MASK if _SECRET_PARAMETER.search(name) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    if any(value == _MASK for _, value in query):
        masked = masked._replace(query=urlencode(query, safe="*/:"))
    # Put together again, sqlite:////absolute.db would lose two slashes.
    return url if masked == parts else urlunsplit(masked)


def redact_text(text: str) -> str:
    """Return *text* with `***` for the secrets in it that can be told by their looks.

    These are the login of a URL, the value of what is called password, token, secret and so on in a
    query, in JSON or in a setting, and what stands in an Authorization header.
    """
    text = _USERINFO.sub(lambda match: f"{match['scheme']}{_mask_userinfo(match['user'])}@", text)
    text = _AUTHORIZATION.sub(rf"\g<name>{_MASK}", text)
    return _SETTING.sub(rf"\g<name>{_MASK}", text)


def quote(text: str, longest: int = 300) -> str:
    """Return *text* fit for a sentence: redacted, on one line, cut to *longest* characters."""
    printable = "".join(c if c.isprintable() else " " for c in redact_text(_beginning(text)))
    line = " ".join(printable.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _beginning(text: str) -> str:
    """Return what is worth reading of *text*, in whole words: half a login is not known as one."""
    if len(text) <= _READ:
        return text
    words = text[:_READ].rsplit(maxsplit=1)
    return f"{words[0]} …" if len(words) > 1 else "…"


def _hides_a_login(parts: SplitResult) -> bool:
    """Return whether a character that should be encoded ends the host within the login."""
    if not parts.netloc or "@" in parts.netloc:
        return False
    _, _, port = parts.netloc.partition(":")
    # An address of the web may well have an @ in its path.
    is_clear = parts.scheme in ("http", "https") and (not port or port.isdigit())
    return not is_clear and "@" in f"{parts.path}?{parts.query}#{parts.fragment}"


def _mask_userinfo(userinfo: str) -> str:
    # A lone user part may itself be a token (https://TOKEN@host).
    user, colon, _ = userinfo.partition(":")
    return f"{user}:{_MASK}" if colon else _MASK
