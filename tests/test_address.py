"""Where the exporter and the server app's page listen."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.address import listen, parse_address
from flowgauge.errors import FlowgaugeError, UsageError

OPTION = "--web.listen-address"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9877", ("", 9877)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9877", ("::1", 9877)),
        ("host.example.com:0", ("host.example.com", 0)),
    ],
)
def test_addresses_as_prometheus_writes_them(text: str, address: tuple[str, int]) -> None:
    """HOST:PORT, [IPV6]:PORT and :PORT are understood."""
    assert parse_address(text, OPTION) == address


@given(st.text(max_size=20) | st.from_regex(r"[\[\]:.a-f0-9]{0,12}", fullmatch=True))
def test_any_other_text_is_refused_in_one_sentence(text: str) -> None:
    """What is accepted reads back as the same address; all else is a wrong usage."""
    try:
        host, port = parse_address(text, OPTION)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
    else:
        assert 0 <= port <= 65535
        shown = f"[{host}]" if text.startswith("[") else host
        assert text == f"{shown}:{text.rpartition(':')[2]}"


def test_without_a_host_all_interfaces_are_served() -> None:
    """`:PORT` listens on IPv4 too, where IPv6 exists."""
    with listen("", 0, OPTION) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.1", "does not have that address"), ("nowhere.invalid", "does not resolve")],
)
def test_an_address_of_another_machine_is_one_sentence(host: str, said: str) -> None:
    """An address that is not this machine's is said, with the option to change."""
    with pytest.raises(FlowgaugeError, match=f"{said}.*--web.listen-address"):
        listen(host, 0, OPTION)


def test_an_address_is_told_as_it_was_given() -> None:
    """An IPv6 host stands in brackets, else its end would be taken for the port."""
    with pytest.raises(FlowgaugeError, match=r"cannot listen on \[2001:db8::1\]:80, "):
        listen(*parse_address("[2001:db8::1]:80", OPTION), OPTION)


def test_a_taken_port_is_one_sentence() -> None:
    """A port that something else listens on is named."""
    with listen("127.0.0.1", 0, OPTION) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FlowgaugeError, match=f"{port}, something else listens there"):
            listen("127.0.0.1", port, OPTION)


def test_answers_do_not_wait_for_the_client_to_acknowledge() -> None:
    """Connections send at once (TCP_NODELAY): a second scrape on one is as fast as the first."""
    with (
        listen("127.0.0.1", 0, OPTION) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_processes_that_share_a_port_listen_side_by_side() -> None:
    """A shared port takes a second listener that shares it, and none that does not."""
    with listen("127.0.0.1", 0, OPTION, shared=True) as first:
        port = first.getsockname()[1]
        listen("127.0.0.1", port, OPTION, shared=True).close()
        with pytest.raises(FlowgaugeError, match="something else listens there"):
            listen("127.0.0.1", port, OPTION)
