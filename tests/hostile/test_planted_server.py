"""Secrets that are planted where the server app looks: what it says holds none."""

import logging
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from prometheus_client import Counter

from flowgauge.errors import FlowgaugeError
from flowgauge.server import apps
from flowgauge.server.access import check_access, own_address
from flowgauge.server.apps import load, measured_app
from flowgauge.server.containment import Containment
from flowgauge.server.dag_places import max_pairs
from flowgauge.server.inventory import count, inventory_seconds
from flowgauge.server.metrics_folder import claim

_SECRET = "s3cr3t"
# A password in an address that was meant for another setting, and one in a setting of libpq.
_PLANTED = (
    f"postgresql://u:{_SECRET}@127.0.0.1:1/d",
    f"http://u:{_SECRET}/{_SECRET}@127.0.0.1",
    f"u:{_SECRET}@127.0.0.1:5000",
    f"host=127.0.0.1 password={_SECRET}",
)


def _variables() -> dict[str, Callable[[str], object]]:
    return {
        "FLOWGAUGE_INVENTORY_SECONDS": lambda _: inventory_seconds(),
        "FLOWGAUGE_MAX_DAG_TASKS": lambda _: max_pairs(),
        "FLOWGAUGE_METRICS_ADDRESS": lambda _: own_address(),
        "FLOWGAUGE_METRICS_TOKEN_FILE": lambda _: check_access(None),
        "FLOWGAUGE_MLFLOW_APP": lambda text: load(measured_app(None, text) or ""),
    }


@pytest.mark.parametrize("name", _variables())
@pytest.mark.parametrize("planted", _PLANTED)
def test_of_a_setting(name: str, planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put into the wrong variable is not repeated."""
    monkeypatch.setenv(name, planted)
    with pytest.raises(FlowgaugeError) as refused:
        _variables()[name](planted)
    assert _SECRET not in str(refused.value)


@pytest.mark.parametrize("planted", _PLANTED)
def test_of_the_workers_folder(folder: Path, planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what was taken for a folder."""
    monkeypatch.chdir(folder)
    Path(planted).mkdir(parents=True)
    Path(planted, "mlflow.db").touch()
    with pytest.raises(FlowgaugeError, match="which flowgauge did not make") as refused:
        claim(Path(planted))
    assert _SECRET not in str(refused.value)


def test_of_a_token_in_the_place_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes the token where its file is to be named does not find it in the log."""
    monkeypatch.setenv("FLOWGAUGE_METRICS_TOKEN_FILE", _SECRET)
    with pytest.raises(FlowgaugeError) as refused:
        check_access(None)
    assert _SECRET not in str(refused.value)


def test_of_a_login_that_does_not_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is repeated, and the address of the login's database in it is not."""
    (folder / "moody.py").write_text(f"raise ConnectionError('no {_PLANTED[0]}')")
    monkeypatch.syspath_prepend(folder)
    moody = EntryPoints([EntryPoint("moody", "moody:app", "mlflow.app")])
    monkeypatch.setattr(apps, "entry_points", lambda group: moody.select(group=group))
    with pytest.raises(FlowgaugeError, match="ConnectionError: no postgresql://") as refused:
        load("moody")
    assert _SECRET not in str(refused.value)


def _contained() -> Containment:
    return Containment(Counter("planted_faults", "Faults.", registry=None))


@pytest.mark.parametrize(
    "planted", [_PLANTED[0], f"postgresql://u:{_SECRET}/{_SECRET}@127.0.0.1:1/d"]
)
def test_of_a_database_that_cannot_be_counted(
    folder: Path, planted: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is not told with what was wrong."""
    with _contained():
        count(folder, {"tracking": planted})
    assert "OperationalError" in caplog.text
    assert _SECRET not in caplog.text


def test_of_a_fault_in_measuring(caplog: pytest.LogCaptureFixture) -> None:
    """Its traceback is logged without what an exception repeats."""
    with _contained():
        raise ValueError(f"cannot connect to {_PLANTED[0]}, {_PLANTED[3]}")
    (logged,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "ValueError: cannot connect to postgresql://" in caplog.text
    assert logged.exc_info is None
    assert _SECRET not in caplog.text
