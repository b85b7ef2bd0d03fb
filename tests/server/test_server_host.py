"""What is not public of MLflow and of what it rests on has one door."""

import re
from pathlib import Path

import pytest

import flowgauge.server
from flowgauge.errors import UsageError
from flowgauge.server import mlflow_host
from flowgauge.server.mlflow_host import BASIC_AUTH, Name, supported

ROOM = Path(flowgauge.server.__file__).parent
# The file format of prometheus_client has a door of its own.
DOORS = {"mlflow_host.py"}
PRIVATE = re.compile(
    r"(?:from|import) mlflow\b|_max_overflow|effective_route_context|path_format|\b_MLFLOW_[A-Z]"
    r"|prometheus_multiproc_dir|get_current_context\(silent"
)


def test_this_mlflow_has_all_that_we_lean_on() -> None:
    """Every listed name is there, in this version, for both of MLflow's own apps."""
    supported(None)
    supported(BASIC_AUTH)


def test_the_rest_of_the_room_names_nothing_private() -> None:
    """No other module of the server app imports MLflow or names what is on the list."""
    found = {
        f"{module.name}: {match[0]}"
        for module in ROOM.rglob("*.py")
        if module.name not in DOORS
        for match in PRIVATE.finditer(module.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    ("where", "attribute"), [("mlflow.server.auth", "gone"), ("mlflow.gone", "app")]
)
def test_a_name_that_is_gone_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, where: str, attribute: str
) -> None:
    """What a newer MLflow has renamed is said, and what would work."""
    renamed = Name(where, attribute, "what it is for")
    monkeypatch.setattr(mlflow_host, "NAMES", (renamed,))
    with pytest.raises(UsageError, match=rf"lacks {where}.{attribute} \(what it is for\)") as said:
        supported(None)
    assert "--expose-prometheus beside `flowgauge exporter`" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_package_that_is_not_there_is_not_a_wrong_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A login whose own package is missing says which, as MLflow does; no version is blamed."""
    (tmp_path / "lacking_login.py").write_text("raise ImportError('pip install mlflow[auth]')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mlflow_host, "NAMES", (Name("lacking_login", "app", "…"),))
    with pytest.raises(UsageError, match=r"ImportError: pip install mlflow\[auth\]") as said:
        supported(None)
    assert str(said.value).endswith("install what it lacks beside MLflow")


def test_a_module_that_does_not_load_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a login's configuration lacks, as its module says it, is no traceback."""
    (tmp_path / "unconfigured_login.py").write_text("raise KeyError('admin_password')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mlflow_host, "NAMES", (Name("unconfigured_login", "app", "…"),))
    with pytest.raises(UsageError, match=r"not load \(KeyError: 'admin_password'\)") as said:
        supported(None)
    assert "MLFLOW_AUTH_CONFIG_PATH" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_name_of_another_version_or_app_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that this version does not have yet, or this app does not need, is not asked for."""
    later = Name("mlflow.gone", "app", "…", since=(99, 0))
    other = Name("mlflow.gone", "app", "…", app=BASIC_AUTH)
    monkeypatch.setattr(mlflow_host, "NAMES", (later, other))
    supported(None)
