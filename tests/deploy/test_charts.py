"""The snippets for other people's charts: they add flowgauge, and take away nothing.

How the charts make a command line of their values was read in community-charts/mlflow 1.11.5 and
mlflow/mlflow's charts 0.1.1; that Helm merges maps and replaces all else is in its documentation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow.cli
import pytest
import yaml

_DEPLOY = Path(__file__).parents[2] / "deploy"
_COMMUNITY = yaml.safe_load((_DEPLOY / "kubernetes/mlflow/community-chart.yaml").read_text())
_OFFICIAL = yaml.safe_load((_DEPLOY / "kubernetes/mlflow/official-chart.yaml").read_text())
_AIRFLOW = yaml.safe_load((_DEPLOY / "airflow/values.yaml").read_text())

_Values = Mapping[str, Any]


def _merged(values: Any, over: Any) -> Any:
    if not (isinstance(values, Mapping) and isinstance(over, Mapping)):
        return over
    return {**values, **{key: _merged(values.get(key), over[key]) for key in over}}


def _leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, values


def _community_arguments(values: _Values) -> list[str]:
    def enabled(section: str) -> bool:
        return bool(values.get(section, {}).get("enabled"))

    arguments = ["--host=0.0.0.0"]
    if enabled("serviceMonitor"):
        arguments += ["--expose-prometheus=/mlflow/metrics"]
    if enabled("oidcAuth"):
        arguments += ["--app-name=oidc-auth"]
    elif enabled("auth"):
        arguments += [f"--app-name={values['auth'].get('appName', 'basic-auth')}"]
    elif enabled("ldapAuth"):
        arguments += ["--app-name=basic-auth"]
    arguments += ["--uvicorn-opts='--log-level=info'"]
    arguments += [
        f"--{_kebab(key)}={value}" for key, value in sorted(values.get("extraArgs", {}).items())
    ]
    return [*arguments, *(f"--{_kebab(flag)}" for flag in values.get("extraFlags", []))]


def _kebab(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", "-", key).lower()


def _official_arguments(values: _Values) -> list[str]:
    server = {"host": "0.0.0.0", **values["server"].get("value_options", {})}
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in sorted(server.items())]
    arguments += [f"--{flag.replace('_', '-')}" for flag in values["server"]["flag_options"]]
    if values.get("metrics", {}).get("enabled"):
        arguments += ["--expose-prometheus=/tmp/metrics"]
    return arguments


def _apps(arguments: list[str]) -> list[str]:
    return [word.partition("=")[2] for word in arguments if word.startswith("--app-name=")]


@pytest.mark.parametrize(
    ("arguments", "snippet", "login", "apps"),
    [
        (_community_arguments, _COMMUNITY, {}, []),
        (_community_arguments, _COMMUNITY, {"auth": {"enabled": True}}, ["basic-auth"]),
        (
            _community_arguments,
            _COMMUNITY,
            {"auth": {"enabled": True, "appName": "our-login"}},
            ["our-login"],
        ),
        (_community_arguments, _COMMUNITY, {"ldapAuth": {"enabled": True}}, ["basic-auth"]),
        (_community_arguments, _COMMUNITY, {"oidcAuth": {"enabled": True}}, ["oidc-auth"]),
        (_community_arguments, _COMMUNITY, {"extraArgs": {"appName": "oidc-auth"}}, ["oidc-auth"]),
        (_official_arguments, _OFFICIAL, {}, []),
        (
            _official_arguments,
            _OFFICIAL,
            {"server": {"value_options": {"app_name": "basic-auth", "workers": 4}}},
            ["basic-auth"],
        ),
    ],
)
def test_no_login_is_taken_away(
    arguments: Callable[[_Values], list[str]],
    snippet: _Values,
    login: dict[str, Any],
    apps: list[str],
) -> None:
    """Whichever way a chart is told of a login, it is still named, and flowgauge after it."""
    monitored = {"metrics": {"enabled": True}, "serviceMonitor": {"enabled": True}, **login}
    line = arguments(_merged(monitored, snippet))
    assert _apps(line) == [*apps, "flowgauge"]
    assert not any(word.startswith("--expose-prometheus") for word in line)


@pytest.mark.parametrize("line", [_community_arguments(_COMMUNITY), _official_arguments(_OFFICIAL)])
def test_mlflow_starts_flowgauge(line: list[str]) -> None:
    """MLflow's own command line takes the last of two apps, which is flowgauge."""
    context = mlflow.cli.server.make_context("server", ["--app-name=basic-auth", *line])
    assert context.params["app_name"] == "flowgauge"
    assert context.params["host"] == "0.0.0.0"


_ENTRY = {"name": "A", "value": "b"}
_FULL: _Values = {
    "env": [_ENTRY],
    "envFrom": [_ENTRY],
    "secret": [_ENTRY],
    "extraEnv": "- name: A\n  value: b\n",
    "extraEnvFrom": "- secretRef: {name: a}\n",
    "extraEnvVars": {"A": "b"},
    "extraVolumes": [_ENTRY],
    "extraVolumeMounts": [_ENTRY],
    "extraSecretNamesForEnvFrom": ["a"],
    "extraArgs": {"appName": "oidc-auth", "workers": 4},
    "extraFlags": ["enableWorkspaces"],
    "server": {"value_options": {"app_name": "basic-auth", "workers": 4}},
    "config": {"core": {"parallelism": 4}},
    "workers": {"env": [_ENTRY]},
    "image": {"pullPolicy": "Always"},
    "images": {"airflow": {"pullPolicy": "Always"}},
}
"""What people set in the three charts."""


@pytest.mark.parametrize(
    "snippet", [_COMMUNITY, _OFFICIAL, _AIRFLOW], ids=["community", "official", "airflow"]
)
def test_what_people_set_stays(snippet: _Values) -> None:
    """Environment, volumes, arguments: a merge with the snippet changes nothing that was there."""
    merged = dict(_leaves(_merged(_FULL, snippet)))
    assert {path: merged[path] for path, _ in _leaves(_FULL)} == dict(_leaves(_FULL))


def test_a_list_is_replaced_only_where_it_is_said() -> None:
    """Of all values only one is a list, and its file says so first."""
    lists = [
        path for snippet in (_COMMUNITY, _OFFICIAL, _AIRFLOW)
        for path, value in _leaves(snippet) if isinstance(value, list)
    ]  # fmt: skip
    assert lists == [("server", "flag_options")]
    text = (_DEPLOY / "kubernetes/mlflow/official-chart.yaml").read_text()
    assert "flag_options is a list, and a list is replaced as\n# a whole" in text


def test_airflows_pods_all_have_the_image() -> None:
    """The pods of the KubernetesExecutor have an image of their own in the chart."""
    images = _AIRFLOW["images"]
    assert images["pod_template"].items() <= images["airflow"].items()
