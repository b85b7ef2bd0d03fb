"""Which host is connected to, by the variables that name proxies."""

import pytest

from flowgauge.errors import UsageError
from flowgauge.tracking.client import TrackingClient

PROXY = "http://user:hunter2@proxy.example.com:3128"
THROUGH = ("proxy.example.com", 3128)
HTTP = "http://mlflow.example.com"
HTTPS = "https://mlflow.example.com"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the variables of this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _next_hop(uri: str) -> tuple[str, int]:
    with TrackingClient(uri, environ={}) as client:
        return client.next_hop()


@pytest.mark.parametrize(
    ("uri", "environ", "hop"),
    [
        (HTTP, {}, ("mlflow.example.com", 80)),
        ("http://[::1]:5000/ml", {}, ("::1", 5000)),
        (HTTP, {"HTTP_PROXY": PROXY}, THROUGH),
        (HTTP, {"http_proxy": PROXY}, THROUGH),
        (HTTP, {"HTTPS_PROXY": PROXY}, ("mlflow.example.com", 80)),
        (HTTPS, {"HTTPS_PROXY": PROXY}, THROUGH),
        (HTTPS, {"https_proxy": "proxy.example.com"}, ("proxy.example.com", 80)),
        (HTTPS, {"ALL_PROXY": PROXY}, THROUGH),
        (HTTP, {"all_proxy": PROXY}, THROUGH),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "example.com"}, ("mlflow.example.com", 80)),
        (HTTP, {"ALL_PROXY": PROXY, "no_proxy": ".example.com"}, ("mlflow.example.com", 80)),
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ("mlflow.example.com", 80)),
        # urllib knows neither a scheme in NO_PROXY nor ALL_PROXY.
        (HTTP, {"ALL_PROXY": PROXY, "NO_PROXY": HTTP}, ("mlflow.example.com", 80)),
        (HTTPS, {"ALL_PROXY": PROXY, "NO_PROXY": HTTP}, THROUGH),
        ("http://127.0.0.1:5000", {"ALL_PROXY": PROXY, "NO_PROXY": "127.0.0.0/8"}, THROUGH),
    ],
)
def test_the_next_hop_is_the_one_of_httpx(
    monkeypatch: pytest.MonkeyPatch, uri: str, environ: dict[str, str], hop: tuple[str, int]
) -> None:
    """The variables of either case, and the exceptions, are obeyed as httpx obeys them."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert _next_hop(uri) == hop


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ALL_PROXY": "socks5://user:hunter2@127.0.0.1:1080"}, "pip install 'httpx[socks]'"),
        ({"ALL_PROXY": "socks4://user:hunter2@127.0.0.1:1080"}, "http://HOST:PORT"),
        ({"ALL_PROXY": "http://user:hunter2/x@127.0.0.1:1080"}, "ALL_PROXY cannot be used: give"),
        ({"HTTPS_PROXY": "user:hunter2/x@127.0.0.1"}, "HTTPS_PROXY cannot be used: give http://"),
        ({"NO_PROXY": "fe80::/10"}, "NO_PROXY cannot be used: give names of hosts"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], said: str
) -> None:
    """A proxy that httpx refuses is wrong usage with a cure, and its password is not shown."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as raised:
        TrackingClient(HTTP, environ={})
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)
