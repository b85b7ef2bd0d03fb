"""Inputs made from the corpus by small changes, and what to keep of one that ends the process."""

import faulthandler
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

__all__ = ["CORPUS", "LAST", "fuzz", "inputs"]

CORPUS = Path(__file__).with_name("corpus")
_HANGS_SECONDS = 30
LAST = Path(".run") / "fuzz"
"""Where the last input of each target lies: a parser in C or Rust may take the process with it."""

# What parsers stumble over, whatever they parse.
_PIECES = [
    *(b"[" * 200, b"{" * 200, b"(" * 200, b"]" * 200, b"- " * 200, b"{a: " * 200, b'{"a":' * 200),
    *(b"9" * 400, b"-1", b"1e999", b"NaN", b"0x", b"99999999999999999999y", b"@ -1", b"[5m:1m]"),
    *(b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\0", b"\x1b[31m", b"\xe2\x80\xae", b"\r\n", b"\t"),
    *(b"&a ", b"*a", b"!!python/name:os.system", b"%YAML 9.9\n", b"---\n", b"<<: *a", b"? "),
    *(b"://", b"@", b"%zz", b"[::1", b"?password=x", b"..", b"xn--", b";version=x", b"q=", b"null"),
    *(b"'", b'"', b"`", b"#", b"{{", b"}}", b"true", b"x" * 2000),
    # What is read again from each place where it may begin takes minutes.
    *(b"/" * 3000, b'\\"' * 3000, b"{{ " * 3000, b" " * 3000, b"9" * 5000),
]


def fuzz(
    name: str, target: Callable[[bytes], None], *, examples: int, number: int, keep: bool = False
) -> None:
    """Give *target* that many inputs, the same for the same *number*; raise what it raises.

    One that takes half a minute ends the process. With *keep*, `LAST` holds the last input.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(name))
    def tried(content: bytes) -> None:
        if keep:
            (LAST / name).write_bytes(content)
        faulthandler.dump_traceback_later(_HANGS_SECONDS, exit=True)
        try:
            target(content)
        finally:
            faulthandler.cancel_dump_traceback_later()

    if keep:
        LAST.mkdir(parents=True, exist_ok=True)
    tried()


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """Return inputs for the target *name*: those of its corpus, changed a little, and any."""
    known = [file.read_bytes() for file in sorted(CORPUS.glob(f"{name}.*"))]
    return _changed(known) | st.binary(max_size=200) | st.text(max_size=100).map(_encoded)


@st.composite
def _changed(draw: st.DrawFn, known: list[bytes]) -> bytes:
    content = draw(st.sampled_from(known))
    for _ in range(draw(st.integers(0, 4))):
        places = st.integers(0, len(content))
        start, end = sorted((draw(places), draw(places)))
        match draw(st.sampled_from(["put", "replace", "remove", "repeat", "splice"])):
            case "put":
                content = content[:start] + draw(st.sampled_from(_PIECES)) + content[start:]
            case "replace":
                content = content[:start] + draw(st.sampled_from(_PIECES)) + content[end:]
            case "remove":
                content = content[:start] + content[end:]
            case "repeat":
                content = content[:end] + content[start:end] * 3 + content[end:]
            case "splice":
                content = content[:start] + draw(st.sampled_from(known))[start:]
    return content[:100_000]


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
