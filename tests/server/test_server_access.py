"""Who may read `/metrics`."""

import asyncio
import threading
from collections import Counter
from itertools import islice
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flowgauge.errors import UsageError
from flowgauge.server.access import BearerToken, check_access, guard
from flowgauge.server.page import MetricsPage
from flowgauge.token_file import TokenFile
from stack.mlflow import MlflowServer
from stack.process import wait_for
from stack.prometheus import prometheus
from tests.server.scrape import ask


def test_prometheus_scrapes_a_mlflow_without_a_login(measured: MlflowServer, folder: Path) -> None:
    """Without a login and without a setting the page is open."""
    mlflow = {"mlflow": measured.url.removeprefix("http://")}
    with prometheus(folder, mlflow, interval="3s") as scraper:
        wait_for(lambda: scraper.value("up") == 1, "Prometheus scrapes MLflow")


def test_a_token_opens_the_page_and_nothing_else_does(folder: Path) -> None:
    """The token of the file is the one that counts now; without a token there, nobody is in."""
    file = folder / "token"
    file.write_text("first\n")
    page = MetricsPage(
        CollectorRegistry(), BearerToken(TokenFile(file, "FLOWGAUGE_METRICS_TOKEN_FILE"))
    )

    def status(authorization: str) -> int:
        sent = {"Authorization": authorization.encode("latin-1")} if authorization else {}
        return ask(page, "/metrics", headers=sent).status_code

    assert status("Bearer first") == status("bearer  first") == 200
    refused = ("", "Bearer", "Bearer ", "Bearer firs", "Basic first", "first", "Bearer f\xefrst")
    assert {status(authorization) for authorization in refused} == {401}
    assert ask(page, "/metrics").headers["www-authenticate"] == "Bearer"
    file.write_text("second")
    assert (status("Bearer first"), status("Bearer second")) == (401, 200)
    file.write_text("\n")
    assert (status("Bearer second"), status("Bearer ")) == (401, 401)
    file.unlink()
    assert status("Bearer second") == 401


@pytest.mark.parametrize(
    ("app", "settings", "status"),
    [
        (None, {}, 200),
        (None, {"FLOWGAUGE_METRICS_TOKEN_FILE": "token"}, 401),
        ("oidc-auth", {}, 403),
        ("oidc-auth", {"FLOWGAUGE_METRICS_TOKEN_FILE": "token"}, 401),
        ("oidc-auth", {"FLOWGAUGE_METRICS_ADDRESS": ":9100"}, 200),
        (
            "oidc-auth",
            {"FLOWGAUGE_METRICS_ADDRESS": ":9100", "FLOWGAUGE_METRICS_TOKEN_FILE": "token"},
            401,
        ),
    ],
)
def test_a_stranger_is_let_in_only_where_there_is_no_login(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    app: str | None,
    settings: dict[str, str],
    status: int,
) -> None:
    """A page without a login is open where MLflow is, or on the port that is its own."""
    (folder / "token").write_text("s3cret")
    monkeypatch.chdir(folder)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    page = MetricsPage(CollectorRegistry(), guard(app))
    assert ask(page, "/metrics").status_code == status


def test_two_tokens_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two would count nobody could say, and no header has a line's end: it is refused."""
    (folder / "token").write_text("first\nsecond\n")
    monkeypatch.setenv("FLOWGAUGE_METRICS_TOKEN_FILE", str(folder / "token"))
    with pytest.raises(UsageError, match="token', which holds more than one word: write one"):
        check_access(None)


def test_a_file_without_a_token_is_refused_at_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is named, and what is wrong with it."""
    file = folder / "token"
    file.touch()
    monkeypatch.setenv("FLOWGAUGE_METRICS_TOKEN_FILE", str(file))
    with pytest.raises(UsageError, match="token', which is empty: write the token to it"):
        check_access(None)


def test_guesses_keep_nobody_out_who_was_let_in() -> None:
    """Few may wait for a look at their login, and fewer of one host, which leaves room for others.

    Whose login was good before does not wait behind them.
    """
    go_on = threading.Event()

    def slow(request: Request) -> Response | None:
        login = request.headers.get("authorization", "")
        if login == "admin":
            return None
        go_on.wait(30)
        return None if login == "new" else PlainTextResponse("no", 401)

    page = MetricsPage(CollectorRegistry(), slow)

    async def ask_as(login: str, host: str = "1.2.3.4") -> int:
        transport = httpx.ASGITransport(page, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            return (await client.get("/metrics", headers={"Authorization": login})).status_code

    async def besieged() -> None:
        assert await ask_as("admin") == 200
        guesses = [asyncio.create_task(ask_as(f"guess {number}")) for number in range(50)]
        for guess in islice(asyncio.as_completed(guesses), 45):
            assert await guess == 429
        assert await ask_as("admin") == 200
        new = asyncio.create_task(ask_as("new", "1.2.3.5"))
        await asyncio.sleep(0)
        go_on.set()
        answers = Counter(await asyncio.gather(*guesses))
        assert answers == {429: 45, 401: 5}
        assert await new == 200
        assert await ask_as("admin") == 200

    asyncio.run(besieged())


def test_a_login_that_fails_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A login that cannot look into its database lets nobody in, and leaves no traceback."""

    def failing(_request: Request) -> Response | None:
        raise ConnectionError("the password is hunter2")

    refused = ask(MetricsPage(CollectorRegistry(), failing), "/metrics")
    assert (refused.status_code, refused.text) == (503, "MLflow's login failed, see its log.\n")
    [line] = caplog.records
    assert line.getMessage() == "/metrics is refused: MLflow's login failed, ConnectionError."
    assert line.exc_info is None


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", ",;=", "\x7f" * 99])
def test_an_odd_wish_is_no_error(accept: str) -> None:
    """Whatever format a client wishes for, it gets one that Prometheus reads."""
    page = MetricsPage(CollectorRegistry())
    assert ask(page, "/metrics", headers={"Accept": accept}).status_code == 200
