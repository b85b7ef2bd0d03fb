"""Environment files: what is a valid one, and what is said about any other."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flowgauge.assets import asset
from flowgauge.environment import (
    Environment,
    chosen_environment,
    environments_folder,
    load_environment,
)
from flowgauge.environment.examples import example_addresses
from flowgauge.environment.schema import json_schema
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.rules.files import alert_names, read_rules

_EXAMPLES = Path(__file__).parents[1] / "environments"


def _load(folder: Path, text: str) -> Environment:
    (folder / "test.yaml").write_text(text, encoding="utf-8")
    return load_environment("test", folder)


def _complaint(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as error:
        _load(folder, text)
    sentence = str(error.value)
    assert sentence.startswith(str(folder / "test.yaml"))
    assert "\n" not in sentence
    return sentence.removeprefix(str(folder / "test.yaml")).lstrip(": ")


@pytest.mark.parametrize(
    ("given_host", "url"),
    [
        ("mlflow.example.com", "https://mlflow.example.com"),
        ("mlflow.example.com:8443/ml", "https://mlflow.example.com:8443/ml"),
        ("http://10.0.0.7:5000", "http://10.0.0.7:5000"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
    ],
)
def test_a_host_alone_is_a_whole_file(folder: Path, given_host: str, url: str) -> None:
    """`domains.mlflow` alone is valid; a bare host means https, a URL is taken as it is."""
    environment = _load(folder, f"domains:\n  mlflow: {given_host}\n")
    assert environment.domains.mlflow == url
    assert environment.store is None
    assert environment.rate_limits == {}


def test_optional_sections_are_read(folder: Path) -> None:
    """The store and the rate limits of a file arrive with their types."""
    environment = _load(
        folder,
        "domains: {mlflow: h}\nstore: redis://r/0\n"
        "rate_limits: {mlflow_api: {max_calls: 20, window_seconds: 60}}\n",
    )
    assert environment.store == "redis://r/0"
    limit = environment.rate_limits["mlflow_api"]
    assert (limit.max_calls, limit.window_seconds) == (20, 60.0)


def test_every_example_is_valid() -> None:
    """The repository's files load, and those that are no machine's of one's own say so."""
    names = {file.stem for file in _EXAMPLES.glob("*.yaml")}
    loaded = {name: load_environment(name, _EXAMPLES) for name in names}
    assert {name for name in names if example_addresses(loaded[name])} == {"staging", "prod"}
    assert names == {"compose", "dev", "staging", "prod"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "domains: {mlflow: h}\nstor: x",
            "stor is not a key here, the keys are alerts, domains",
        ),
        ("domains: {mlfow: h}", "domains.mlflow is missing; domains.mlfow is not a key"),
        ("domains: {mlflow: ''}", "domains.mlflow must be a host such as mlflow.example.com"),
        ("domains: {mlflow: a b}", "domains.mlflow must be a host"),
        ("domains: {mlflow: 'h:port'}", "domains.mlflow must be a host"),
        ("domains: mlflow.example.com", "domains must be a mapping"),
        ("domains: {mlflow: h}\nstore:", "store must not be empty"),
        ("domains: {mlflow: h}\nstore: mysql://h/d", "store must be a URL that begins with one of"),
        ("domains: {mlflow: h}\nstore: redis", "store must be a URL that begins with one of"),
        (
            "domains: {mlflow: h}\nrate_limits: {a: {max_calls: 0, window_seconds: inf}}",
            "rate_limits.a.max_calls must be greater than 0; rate_limits.a.window_seconds must be",
        ),
        ("domains: {mlflow: h}\nrate_limits: {a: {calls: 1}}", "the keys are max_calls, window"),
        (
            "domains: {mlflow: h}\nkubernetes: {resources: {limits: {memory: lots}}}",
            "kubernetes.resources.limits.memory must be a quantity such as 50m or 96Mi",
        ),
        (
            "domains: {mlflow: h}\nkubernetes: {mlflow: {tls: {server_name: m}}}",
            "kubernetes.mlflow must have scheme https where it has tls",
        ),
        ("", "must be a mapping of keys to values"),
        ("- mlflow", "must be a mapping of keys to values"),
        ("a: b: c", "is not valid YAML: line 1, mapping values are not allowed here"),
        ("domains: {mlflow: a}\ndomains: {mlflow: b}", "the key 'domains' is given twice"),
        ("store: redis://:hunter2@h\n  x: [", "is not valid YAML: line 2"),
        (
            "domains: {mlflow: h}\nalerts: {A: {threshold: x, for: 5, severity: page}}",
            (
                "alerts.A.threshold must be a valid number, unable to parse string as a number; "
                "alerts.A.for must be a duration such as 30s, 5m or 1h30m; "
                "alerts.A.severity must be 'critical' or 'warning'"
            ),
        ),
        (
            "domains: {mlflow: h}\nalerts: {A: {labels: {severity: x, 1a: y}}}",
            "must not be severity, by which alerts are told apart and routed",
        ),
        (
            "domains: {mlflow: h}\nalerts: {A: {for: 300y, labels: {team: '{{ $value }}'}}}",
            (
                "alerts.A.for must be a year at most; alerts.A.labels.team must be plain text: "
                "Prometheus would take {{ for a template"
            ),
        ),
        (
            "domains: {mlflow: h}\nalerts: {A: {expr: up}}",
            "keys are enabled, for, labels, severity, threshold",
        ),
        (
            "domains: {mlflow: h}\nprometheus: {scrape_interval: 5m, mlflow: {targets: [a]}}",
            (
                "prometheus.scrape_interval must be between 10s and 30s: slower, a drained "
                "database pool is not told within two minutes; faster, a scrape ends before an "
                "exporter whose MLflow hangs has answered; prometheus.mlflow.targets.0 must be "
                "HOST:PORT"
            ),
        ),
        (
            "domains: {mlflow: h}\nobjective: 94.9",
            "objective must be a percentage from 95 to 99.99",
        ),
        ("domains: {mlflow: h}\nobjective: 100", "objective must be a percentage from 95 to 99.99"),
        (
            "domains: {mlflow: h}\nprometheus: {remote_write: [{uri: h}]}",
            "prometheus.remote_write.0.url is missing; prometheus.remote_write.0.uri is not a key",
        ),
        (
            (
                "domains: {mlflow: h}\nprometheus: {remote_write: [{url: h, credentials_file: /t, "
                "basic_auth: {username: u, password_file: /p}}]}"
            ),
            "prometheus.remote_write.0 must have basic_auth or credentials_file, not both",
        ),
        (
            "domains: {mlflow: h}\nkubernetes: {mlflow: {basic_auth_secret: a, token_secret: b}}",
            "kubernetes.mlflow must have basic_auth_secret or token_secret, not both",
        ),
        (
            "domains: {mlflow: h}\nstore: sqlite:///x.db\nkubernetes: {}",
            "store must be a redis:// or postgresql:// URL in Kubernetes, pods share no file",
        ),
        ("domains: {mlflow: h}\nkubernetes: {namespace: A_b}", "must be a Kubernetes name"),
        ("domains: {mlflow: h}\nimage: a b", "image must be a container image such as"),
        ("a: \0", "holds a character that YAML does not allow"),
        ("[" * 5000, "nested too deeply"),
        ("a: 1\n---\nb: 2", "but found another document"),
    ],
)
def test_a_malformed_file_is_one_sentence(folder: Path, text: str, said: str) -> None:
    """What is wrong is said with file and key, and what would be right; all of it at once."""
    sentence = _complaint(folder, text)
    assert said in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "receivers: {ticket: {slack: {channel: x, api_url: hunter2}}}",
            (
                "receivers.ticket.slack.api_url must not be written here: "
                "put it into a file and name the file in api_url_file"
            ),
        ),
        (
            "receivers: {page: {pagerduty: {routing_key: hunter2}}}",
            "routing_key must not be written here",
        ),
        (
            "prometheus: {mlflow: {basic_auth: {username: u, password: hunter2}}}",
            "prometheus.mlflow.basic_auth.password must not be written here",
        ),
        (
            "prometheus: {remote_write: [{url: h, credentials_file: hunter2}]}",
            "credentials_file must be the absolute path of a file that holds the secret",
        ),
        ("store: redis://:hunter2@redis/0", "store must not hold a user, password or token"),
        ("domains: {mlflow: 'https://u:hunter2@h'}", "domains.mlflow must not hold a user"),
        (
            "receivers: {page: {webhook: {url: 'https://h/?token=hunter2'}}}",
            "webhook.url must not hold a user, password or token",
        ),
    ],
)
def test_a_secret_in_the_file_is_refused(folder: Path, text: str, said: str) -> None:
    """A literal secret is refused without being repeated, with the place where it belongs."""
    domains = "" if text.startswith("domains") else "domains: {mlflow: h}\n"
    sentence = _complaint(folder, domains + text)
    assert said in sentence
    assert "hunter2" not in sentence


def test_a_file_that_is_not_text_is_one_sentence(folder: Path) -> None:
    """Bytes that are not UTF-8 are named as such."""
    (folder / "test.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_environment("test", folder)


@pytest.mark.parametrize("name", ["qa", "", "../secrets/prod", "prod.yaml", "/etc/passwd", "a\nb"])
def test_an_unknown_name_lists_those_that_exist(folder: Path, name: str) -> None:
    """A name that is no environment, or tries to leave the folder, is answered with the list."""
    for known in ("prod", "dev"):
        (folder / f"{known}.yaml").write_text("domains: {mlflow: h}")
    (folder / "gone.yaml").symlink_to("nowhere")
    with pytest.raises(UsageError, match="has dev, prod, choose one with ENV") as error:
        load_environment(name, folder)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_none_is_one_sentence(folder: Path) -> None:
    """A FLOWGAUGE_ENVIRONMENTS that names no folder is said, not skipped."""
    with pytest.raises(UsageError, match=r"there is no folder .*name it in FLOWGAUGE_ENVIRONMENTS"):
        load_environment("dev", folder / "missing")


def test_the_folder_is_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOWGAUGE_ENVIRONMENTS comes before ./environments, and the package brings neither."""
    monkeypatch.chdir(folder)
    assert environments_folder({}) == Path("environments")
    assert environments_folder({"FLOWGAUGE_ENVIRONMENTS": "/etc/fg"}) == Path("/etc/fg")
    with pytest.raises(UsageError, match=r"there is no folder environments, where prod\.yaml"):
        load_environment("prod")


@pytest.mark.parametrize(
    ("environ", "files", "name"),
    [
        ({"ENV": "qa"}, ["dev"], "qa"),
        ({}, ["dev", "prod"], "dev"),
        ({}, ["prod"], None),
        ({"FLOWGAUGE_ENVIRONMENTS": "/missing"}, None, "dev"),
    ],
)
def test_the_name_is_given_or_dev(
    folder: Path, environ: dict[str, str], files: list[str] | None, name: str | None
) -> None:
    """ENV names the environment, else it is dev if there is one; a lost folder is not passed by."""
    for file in files or ():
        (folder / f"{file}.yaml").write_text("domains: {mlflow: h}")
    looked_in = folder if files else folder / "missing"
    assert chosen_environment(looked_in, environ) == name


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("domains: {mlflow: mlflow.example.com}", ["domains.mlflow"]),
        ("domains: {mlflow: 'https://EXAMPLE.org:8443/ml'}", ["domains.mlflow"]),
        ("domains: {mlflow: mlflow.corp.example}", ["domains.mlflow"]),
        ("domains: {mlflow: example.com.br}", []),
        ("domains: {mlflow: myexample.com}", []),
        (
            (
                "domains: {mlflow: h}\nimage: registry.example.com:5000/flowgauge:1\n"
                "prometheus: {alertmanagers: ['a:9093', 'am.example.net:9093']}"
            ),
            ["prometheus.alertmanagers.1", "image"],
        ),
        ("domains: {mlflow: h}", []),
    ],
)
def test_addresses_of_examples_are_found(folder: Path, text: str, keys: list[str]) -> None:
    """Every key whose host belongs to nobody is named, and no other."""
    assert example_addresses(_load(folder, text)) == keys


def _errors(schema: Any, text: str) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return [f"{error.json_path} {error.validator}" for error in found]


def test_editors_get_a_schema_that_knows_sections_and_alerts() -> None:
    """The repository's schema is today's, accepts the files beside it, and finds what we would."""
    schema = json.loads((_EXAMPLES / "schema.json").read_text())
    alerts = alert_names(read_rules([str(asset("alerts") / "*.yaml")]))
    assert schema == json_schema(alerts), (
        "run: flowgauge environment schema > environments/schema.json"
    )
    Draft202012Validator.check_schema(schema)
    for file in _EXAMPLES.glob("*.yaml"):
        assert file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
        assert _errors(schema, file.read_text()) == []
    assert _errors(schema, "domains: {mlfow: h}") == [
        "$.domains additionalProperties",
        "$.domains required",
    ]
    assert _errors(schema, "domains: {mlflow: h}\nalerts: {Nope: {}}") == ["$.alerts enum"]
    assert _errors(schema, "domains: {mlflow: h}\nalerts: {MLflowServerDown: {for: x}}")


_words = st.sampled_from(["domains", "mlflow", "store", "rate_limits", "max_calls", "", "h", "1"])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | _words
_trees = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)


@given(st.text(max_size=60) | _trees.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)))
def test_no_file_gives_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever a file holds, it is an environment or one sentence."""
    file = tmp_path_factory.getbasetemp() / "random.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_environment("random", file.parent)
    except FlowgaugeError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
