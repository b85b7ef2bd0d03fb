"""What answers may be anybody's."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from flowgauge.http_client import LONGEST_ANSWER, TooLongError, http_client
from stack.unwell import CannedServer, canned_server


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """A server that answers what a test says."""
    with canned_server() as server:
        yield server


def test_an_answer_is_what_was_sent(server: CannedServer) -> None:
    """Packed or not, status, headers and body arrive as they would without a limit."""
    server.status = 404
    server.headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=latin-1"}
    server.body = gzip.compress("für alle".encode("latin-1"))
    with http_client() as http:
        answer = http.get(server.url)
    assert (answer.status_code, answer.text) == (404, "für alle")
    assert answer.request.url == server.url
    assert "gzip" in server.seen["accept-encoding"]


def test_an_answer_that_grows_is_given_up(server: CannedServer) -> None:
    """However much a small answer unpacks to, it takes a few times the limit at most."""
    server.headers = {"Content-Encoding": "gzip"}
    packing = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    server.body = b"".join(packing.compress(bytes(2**20)) for _ in range(200)) + packing.flush()
    tracemalloc.start()
    try:
        with http_client() as http, pytest.raises(TooLongError, match="longer than 32 MiB"):
            http.get(server.url)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * LONGEST_ANSWER


def test_an_answer_packed_otherwise_is_not_read(server: CannedServer) -> None:
    """How much a packing may grow is known of those that were asked for alone."""
    server.headers = {"Content-Encoding": "zstd"}
    with http_client() as http, pytest.raises(TooLongError, match="packed by zstd, which nobody"):
        http.get(server.url)
