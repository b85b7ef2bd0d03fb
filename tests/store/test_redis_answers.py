"""How a Redis' answers are read."""

import socket
import time
from collections.abc import Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from flowgauge.store.redis.connections import Connection, deadline

_Answer = str | int | None | Sequence["_Answer"]

_ANSWERS = st.recursive(
    st.none() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda each: st.lists(each, max_size=4),
    max_leaves=8,
)


class _InParts(socket.socket):
    """A socket that does not take all that came at once."""

    parts: Iterator[int]

    def recv(self, most: int, flags: int = 0) -> bytes:
        return super().recv(next(self.parts, most), flags)


def _written(answer: _Answer) -> bytes:
    match answer:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % answer
        case str():
            text = answer.encode()
            return b"$%d\r\n%b\r\n" % (len(text), text)
    return b"*%d\r\n" % len(answer) + b"".join(map(_written, answer))


@settings(deadline=None)
@given(st.lists(_ANSWERS, min_size=1, max_size=3), st.lists(st.integers(1, 9), max_size=40))
def test_answers_are_the_same_however_they_come(answers: list[_Answer], parts: list[int]) -> None:
    """In parts of any length, and whatever is in their texts: each is whole, and none is left."""
    left, right = socket.socketpair()
    with right, _InParts(fileno=left.detach()) as ours:
        ours.parts = iter(parts)
        right.sendall(b"".join(map(_written, answers)))
        connection = Connection(ours)
        with deadline(time.monotonic() + 10):
            assert connection.ask(*[("GET", "x")] * len(answers)) == answers
        assert connection.is_left_alone
