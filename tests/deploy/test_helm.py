"""The Helm chart: rendered by the real helm, valid, and the same content as `flowgauge render`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from flowgauge.assets import asset
from flowgauge.environment import Environment
from flowgauge.errors import UsageError
from flowgauge.render import helm_values, render, replace_folder
from flowgauge.render.rules import rule_files
from flowgauge.rules import promql
from flowgauge.rules.files import alert_names, read_rules
from stack.process import python_tool
from tests.deploy.conftest import CHART, Manifests, check_schema, helm_template, kustomize, run_tool

_CHECKOUT = Path(__file__).parents[2]
_CASES = sorted((CHART / "ci").glob("*-values.yaml"))
_LEAST = ("--set", "mlflow.uri=http://mlflow:5000")
_ALERTS = sorted(alert_names(read_rules([str(asset("alerts") / "*.yaml")])))


@cache
def _case(name: str) -> Manifests:
    return helm_template("--values", CHART / "ci" / f"{name}-values.yaml")


def _of_kind(manifests: Manifests, kind: str) -> dict[str, dict[str, Any]]:
    return {name: manifest for (k, name), manifest in manifests.items() if k == kind}


def test_what_is_generated_is_current() -> None:
    """Rules, dashboards and routes are the repository's; the README tells the values."""
    check = [sys.executable, "scripts/helm_chart.py", "--check"]
    done = subprocess.run(check, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.stem)
def test_helm_has_nothing_against_it(case: Path) -> None:
    """`helm lint --strict` accepts the chart with the values of every case."""
    done = run_tool("helm", "lint", "--strict", CHART, "--values", case)
    assert done.returncode == 0, done.stdout


def test_the_package_holds_all_that_is_installed(folder: Path) -> None:
    """`helm package` gives an archive that renders as the folder does, without its tests."""
    done = run_tool("helm", "package", CHART, "--destination", folder)
    assert done.returncode == 0, done.stderr
    [archive] = folder.glob("flowgauge-*.tgz")
    packaged = run_tool("helm", "template", "flowgauge", archive, *_LEAST)
    assert packaged.stdout == run_tool("helm", "template", "flowgauge", CHART, *_LEAST).stdout
    names = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True)
    assert not re.search(r"/(ci/|artifacthub)", names.stdout)


@pytest.mark.parametrize("version", ["1.27.0", "1.37.0"])
@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.stem)
def test_every_object_follows_its_schema(case: Path, version: str) -> None:
    """Kubernetes' schemas, old and new, and the operators' take each object; no unknown field."""
    for manifest in _case(case.stem.removesuffix("-values")).values():
        if check := _OTHERS.get(manifest["kind"]):
            assert manifest["spec"].keys() <= check, manifest["metadata"]["name"]
        else:
            check_schema(manifest, version)


# Of kinds whose types no package has: fields by the operators' API references.
_OTHERS = {
    "AlertmanagerConfig": {"route", "receivers", "inhibitRules"},
    "GrafanaDashboard": {
        "allowCrossNamespaceImport", "configMapRef", "folder", "instanceSelector",
    },
}  # fmt: skip


def _same_content(manifests: Manifests) -> Manifests:
    """Leave out what is of Helm, or of kustomize, and not of flowgauge."""
    text = json.dumps(list(manifests.values()))
    # The hash in a ConfigMap's name, and the annotation that takes its place.
    text = re.sub(r"flowgauge-exporter-[a-z0-9]{10}", "flowgauge-exporter", text)
    found = [_stripped(manifest) for manifest in json.loads(text)]
    for manifest in found:
        manifest["metadata"].pop("namespace", None)
        if manifest["kind"] == "ConfigMap":
            # kustomize's generator gives none.
            for label in ("app.kubernetes.io/name", "app.kubernetes.io/part-of"):
                manifest["metadata"].get("labels", {}).pop(label, None)
            manifest["metadata"].setdefault("labels", {})
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["metadata"].pop("annotations", None)
            manifest["spec"]["template"]["spec"]["containers"][0].pop("imagePullPolicy", None)
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def _stripped(value: Any) -> Any:
    of_helm = {"app.kubernetes.io/instance", "app.kubernetes.io/version"}
    of_helm |= {"app.kubernetes.io/managed-by", "helm.sh/chart"}
    match value:
        case dict():
            kept = {k: _stripped(inner) for k, inner in value.items() if k not in of_helm}
            if "expr" in kept:
                kept["expr"] = str(promql.parse(kept["expr"]))
            return kept
        case list():
            return [_stripped(inner) for inner in value]
        case _:
            return value


_EVERYTHING = """\
domains: {mlflow: "https://mlflow.corp.internal/ml"}
store: redis://redis:6379/0
rate_limits: {mlflow_api: {max_calls: 40, window_seconds: 90}, partner: {max_calls: 2}}
alerts:
  MLflowHighLatency: {threshold: 2.5, for: 15m, severity: critical, labels: {team: data}}
  MLflowRateLimitSaturated: {threshold: 1e3}
  FlowgaugeRelayDown: {enabled: false}
objective: 99.95
urls: {dashboards: "https://grafana.corp.internal/g", runbooks: "https://wiki.corp.internal/r"}
prometheus: {scrape_interval: 30s}
image: registry.corp.internal:5000/data/flowgauge:1.2.3
kubernetes:
  replicas: 2
  image_pull_secrets: [registry]
  resources: {requests: {cpu: 100m}, limits: {memory: 1Gi, ephemeral-storage: 1Gi}}
  mlflow:
    namespace: ml
    selector: {app: mlflow}
    port: web
    scheme: https
    tls: {ca_secret: mlflow-ca, server_name: mlflow.corp.internal, insecure_skip_verify: true}
    token_secret: mlflow-metrics
  labels: {release: monitoring}
  prometheus_namespace: monitoring
"""


@pytest.mark.parametrize(
    "text",
    [
        "domains: {mlflow: mlflow.corp.internal}\nkubernetes: {}\n",
        _EVERYTHING,
        _EVERYTHING.replace(":1.2.3", f"@sha256:{'0' * 64}").replace("token_", "basic_auth_"),
    ],
    ids=["small", "everything", "digest"],
)
def test_chart_and_render_give_the_same(folder: Path, text: str) -> None:
    """With the values that `render` makes of an environment, the chart is what kustomize builds."""
    environment = Environment.model_validate(yaml.safe_load(text))
    files = render("test", environment)
    # The chart's dashboards draw their lines where the alerts fire that nobody changed.
    plain = render("test", environment.model_copy(update={"alerts": {}}))
    dashboards = {path: text for path, text in plain.items() if "/dashboards/" in path}
    replace_folder(folder / "out", {**files, **dashboards})
    (folder / "values.yaml").write_text(helm_values("test", environment))

    chart = _same_content(helm_template("--values", folder / "values.yaml"))
    rendered = _same_content(kustomize(folder / "out"))

    assert chart.keys() == rendered.keys()
    for key, manifest in rendered.items():
        assert chart[key] == manifest


def test_the_command_prints_the_values(folder: Path) -> None:
    """`flowgauge render --format helm-values` prints them, and writes nothing."""
    (folder / "environments").mkdir()
    file = folder / "environments" / "prod.yaml"
    file.write_text(_EVERYTHING)
    command = [python_tool("flowgauge"), "render", "--env", "prod", "--format", "helm-values"]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *options], cwd=folder, capture_output=True, text=True, check=False
        )

    environment = Environment.model_validate(yaml.safe_load(_EVERYTHING))
    assert run().stdout == helm_values("prod", environment)
    assert list(folder.iterdir()) == [folder / "environments"]
    assert "leave --out and --diff out" in run("--diff").stderr
    file.write_text("domains: {mlflow: mlflow.corp.internal}\n")
    assert "environments/prod.yaml: kubernetes is missing" in run().stderr


def test_a_threshold_is_the_same_whoever_sets_it(folder: Path) -> None:
    """The chart changes each alert's number as `render` does, and refuses where it does.

    One with which an alert would fire always or never is refused, whatever it asks.
    """
    thresholds = {alert: {"threshold": 0.75} for alert in _ALERTS}
    refused = {alert for alert in _ALERTS if not _takes(alert, 0.75)}
    taken = {alert: value for alert, value in thresholds.items() if alert not in refused}
    (folder / "values.yaml").write_text(yaml.safe_dump({"environment": "test", "alerts": taken}))
    rules = rule_files("test", _overridden(taken)).values()

    chart = helm_template(*_LEAST, "--values", folder / "values.yaml")

    specs = [rule["spec"] for rule in _of_kind(chart, "PrometheusRule").values()]
    assert dict(_expressions(specs)) == dict(_expressions(map(yaml.safe_load, rules)))
    for alert in refused:
        assert _refusal(alert, 0.75)
    for alert, edge in _EDGES:
        assert bool(_refusal(alert, edge)) != _takes(alert, edge), (alert, edge)
    assert "as it compares a share: 5 % is 0.05" in _refusal("MLflowDown", 5)


# Of alerts above a share, below one, above and below another number.
_EDGES = (
    ("MLflowHighErrorRate", 0),
    ("MLflowHighErrorRate", 1),
    ("MLflowDown", 0),
    ("MLflowDown", 1),
    ("MLflowDown", 1.5),
    ("MLflowRateLimitSaturated", -0.1),
    ("MLflowCertificateExpiring", 0),
)


def _refusal(alert: str, threshold: float) -> str:
    value = f"alerts.{alert}.threshold={threshold}"
    options = ["--set-json", value, "--show-only", "templates/rules.yaml"]
    done = run_tool("helm", "template", "x", CHART, *_LEAST, *options)
    assert done.returncode == 0 or f"alerts.{alert}.threshold: " in done.stderr
    return "" if done.returncode == 0 else done.stderr


def _overridden(alerts: dict[str, Any]) -> Environment:
    return Environment.model_validate({"domains": {"mlflow": "h"}, "alerts": alerts})


def _takes(alert: str, threshold: float) -> bool:
    try:
        rule_files("test", _overridden({alert: {"threshold": threshold}}))
    except UsageError:
        return False
    return True


def _expressions(files: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for file in files:
        for group in file["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], str(promql.parse(rule["expr"]))


def test_a_plain_prometheus_gets_files_it_accepts(folder: Path) -> None:
    """Without the operator, promtool accepts the rules in the ConfigMap, and pods are annotated."""
    manifests = _case("no-operator")
    files = manifests["ConfigMap", "flowgauge-rules"]["data"]
    for name, text in files.items():
        (folder / name).write_text(text)
    subprocess.run(
        ["promtool", "check", "rules", *sorted(folder.iterdir())], check=True, capture_output=True
    )
    assert files.keys() == {path.name for path in asset("alerts").glob("*.yaml")}
    pod = manifests["Deployment", "flowgauge-exporter"]["spec"]["template"]["metadata"]
    assert pod["annotations"].items() >= {
        "prometheus.io/scrape": "true", "prometheus.io/port": "9877",
    }.items()  # fmt: skip
    assert pod["labels"]["job"] == "flowgauge"
    assert {kind for kind, _ in manifests} == {
        "ConfigMap", "Deployment", "PodDisruptionBudget", "Service",
    }  # fmt: skip


def test_a_prometheus_that_goes_by_annotations_names_the_job(folder: Path) -> None:
    """From annotations and labels of the pod come the address, and the job that the rules know."""
    pod = _case("no-operator")["Deployment", "flowgauge-exporter"]["spec"]["template"]["metadata"]
    seen = {
        f"__meta_kubernetes_pod_{kind}_{re.sub('[^a-zA-Z0-9]', '_', key)}": value
        for kind, group in (("annotation", pod["annotations"]), ("label", pod["labels"]))
        for key, value in group.items()
    }
    job = {
        "job_name": "kubernetes-pods",
        "static_configs": [{"targets": ["10.0.0.7"], "labels": seen}],
        "relabel_configs": _BY_ANNOTATION,
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    # It waits so long for more.
    checking = ["promtool", "check", "service-discovery", "--timeout=3s"]
    found = subprocess.run(
        [*checking, "prometheus.yml", "kubernetes-pods"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    [target] = json.loads(found.stdout)
    assert target["labels"]["__address__"] == "10.0.0.7:9877"
    assert target["labels"]["__metrics_path__"] == "/metrics"
    assert target["labels"]["job"] == "flowgauge"


# As Prometheus' own example for Kubernetes has it, and the charts that are made after it.
_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io"
_BY_ANNOTATION = [
    {"source_labels": [f"{_ANNOTATION}_scrape"], "action": "keep", "regex": "true"},
    {
        "source_labels": [f"{_ANNOTATION}_path"], "action": "replace",
        "target_label": "__metrics_path__", "regex": "(.+)",
    },
    {
        "source_labels": ["__address__", f"{_ANNOTATION}_port"], "action": "replace",
        "regex": r"([^:]+)(?::\d+)?;(\d+)", "replacement": "$1:$2", "target_label": "__address__",
    },
    {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"},
]  # fmt: skip


def test_the_parts_of_the_chart_find_each_other() -> None:
    """Services, monitors, policies, budgets select each release's own pods, by ports that exist."""
    manifests = helm_template(*_LEAST, release="mine")
    for name in ("mine-flowgauge-exporter", "mine-flowgauge-relay"):
        pod = manifests["Deployment", name]["spec"]["template"]
        labels = pod["metadata"]["labels"].items()
        [container] = pod["spec"]["containers"]
        [port] = container["ports"]
        assert f":{port['containerPort']}" in container["args"]
        service = manifests["Service", name]
        policy = manifests["NetworkPolicy", name]["spec"]
        monitor = manifests["ServiceMonitor", name]["spec"]
        selectors = [
            service["spec"]["selector"],
            manifests["Deployment", name]["spec"]["selector"]["matchLabels"],
            policy["podSelector"]["matchLabels"],
        ]
        for selector in selectors:
            assert selector["app.kubernetes.io/instance"] == "mine"
            assert selector.items() <= labels
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert pod["spec"]["serviceAccountName"] in _of_kind(manifests, "ServiceAccount")
        config = container["envFrom"][0]["configMapRef"]["name"]
        assert manifests["ConfigMap", config]["data"] == {
            "MLFLOW_TRACKING_URI": "http://mlflow:5000"
        }


def test_what_a_cluster_asks_for_arrives() -> None:
    """Each value of the full case reaches both programs."""
    manifests = _case("full")
    for name in ("watch-exporter", "watch-relay"):
        deployment = manifests["Deployment", name]
        template = deployment["spec"]["template"]
        pod, [container] = template["spec"], template["spec"]["containers"]
        assert deployment["spec"]["strategy"] == {"rollingUpdate": {"maxUnavailable": 1}}
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
        assert pod["tolerations"][0]["key"] == "dedicated"
        assert "nodeAffinity" in pod["affinity"]
        assert pod["priorityClassName"] == "monitoring"
        assert {volume["name"] for volume in pod["volumes"]} == {"web-config", "ca"}
        assert {mount["name"] for mount in container["volumeMounts"]} == {"web-config", "ca"}
        assert container["env"] == [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
        secret = container["envFrom"][1]["secretRef"]
        assert secret == {"name": "flowgauge-secrets", "optional": False}
        assert container["image"].endswith(f"/flowgauge@sha256:{'0' * 64}")
        # A login or a certificate that the kubelet does not have would end the pod.
        assert container["livenessProbe"]["tcpSocket"] == {"port": "http"}
        assert (
            template["metadata"]["labels"].items() >= {"team": "data", "cost-center": "42"}.items()
        )
        [endpoint] = manifests["PodMonitor", name]["spec"]["podMetricsEndpoints"]
        assert endpoint["scheme"] == "https"
        assert endpoint["basicAuth"]["username"] == {"name": "flowgauge-login", "key": "username"}
    variables = manifests["ConfigMap", "watch-exporter"]["data"]
    assert variables["FLOWGAUGE_LOG_LEVEL"] == "debug"
    assert variables["FLOWGAUGE_LOG_FORMAT"] == "json"
    assert variables["FLOWGAUGE_WEB_CONFIG_FILE"] == "/etc/flowgauge/web/web-config.yml"


def test_a_new_address_restarts_the_pods() -> None:
    """The pods change with the ConfigMap that they read at their start."""

    def pods(uri: str) -> list[Any]:
        deployments = _of_kind(helm_template("--set", f"mlflow.uri={uri}"), "Deployment")
        return [deployment["spec"]["template"] for deployment in deployments.values()]

    before, after = pods("http://a"), pods("http://b")
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_grafanas_operator_gets_each_dashboard() -> None:
    """There is a GrafanaDashboard for each, which names a ConfigMap and a key that are there."""
    manifests = _case("full")
    boards = _of_kind(manifests, "GrafanaDashboard")
    assert len(boards) == len(list(asset("dashboards").glob("*.json")))
    for board in boards.values():
        spec = board["spec"]
        text = manifests["ConfigMap", spec["configMapRef"]["name"]]["data"][
            spec["configMapRef"]["key"]
        ]
        assert json.loads(text)["uid"]


def test_the_clusters_own_alertmanager_is_left_alone(folder: Path) -> None:
    """The AlertmanagerConfig has the routes and inhibitions of alertmanager.yml, for ours alone."""
    spec = _case("full")["AlertmanagerConfig", "watch"]["spec"]
    assert [receiver["name"] for receiver in spec["receivers"]] == ["page", "ticket", "watchdog"]
    # As the operator makes a configuration of it, but for the receivers' ways, which need Secrets.
    configuration: dict[str, Any] = {
        "route": _as_configuration(spec["route"]),
        "receivers": [{"name": receiver["name"]} for receiver in spec["receivers"]],
        "inhibit_rules": [
            {
                "source_matchers": _as_matchers(rule["sourceMatch"]),
                "target_matchers": _as_matchers(rule["targetMatch"]),
                "equal": rule["equal"],
            }
            for rule in spec["inhibitRules"]
        ],
    }
    [ours] = configuration["route"].pop("matchers")
    assert ours == f'alertname=~"{"|".join(_ALERTS)}"'
    assert configuration == yaml.safe_load((asset("alerts") / "alertmanager.yml").read_text())


def _as_configuration(route: dict[str, Any]) -> dict[str, Any]:
    said = {re.sub("([A-Z])", lambda of: f"_{of[1].lower()}", k): v for k, v in route.items()}
    if "matchers" in said:
        said["matchers"] = _as_matchers(said["matchers"])
    if "routes" in said:
        said["routes"] = [_as_configuration(inner) for inner in said["routes"]]
    return said


def _as_matchers(matchers: list[dict[str, str]]) -> list[str]:
    return [f'{one["name"]}{one["matchType"]}"{one["value"]}"' for one in matchers]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "mlflow.uri must be given"),
        (("mlflow.uri=mlflow.example.com",), "at '/mlflow/uri'"),
        (("mlflow.uri=http://user:pass@mlflow",), "at '/mlflow/uri'"),
        (("mlflow.uri=http://m", "store.url=redis://:pass@redis"), "at '/store/url'"),
        (("mlflow.uri=http://m", "store.url=sqlite:////store.db"), "at '/store/url'"),
        (("mlflow.uri=http://m", "exporter.replica=2"), "'replica' not allowed"),
        (("mlflow.uri=http://m", "alerts.Nope.for=1m"), "alerts.Nope is not an alert"),
        (("mlflow.uri=http://m", "alerts.MLflowDown.for=1m1h"), "at '/alerts/MLflowDown/for'"),
        (("mlflow.uri=http://m", "alerts.MLflowDown.for=300y"), "at '/alerts/MLflowDown/for'"),
        (("mlflow.uri=http://m", "alerts.MLflowDown.labels.job=x"), "propertyName 'job'"),
        (("mlflow.uri=http://m", "alerts.MLflowDown.labels.a=x{{"), "MLflowDown/labels/a'"),
        (("mlflow.uri=http://m", "monitors.interval=5m"), "at '/monitors/interval'"),
        (
            ("mlflow.uri=http://m", "alertmanagerConfig.enabled=true"),
            "alertmanagerConfig.receivers.page must be given",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(values: tuple[str, ...], said: str) -> None:
    """What is missing, misspelt or holds a secret is refused, and its place is named."""
    options = [word for value in values for word in ("--set", value)]
    done = run_tool("helm", "template", "flowgauge", CHART, *options)
    assert done.returncode != 0
    assert said in done.stderr


def test_every_value_has_a_type() -> None:
    """The schema knows each value of values.yaml, and none that is not there."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    assert set(_properties(schema, schema)) - {"global"} == set(
        _keys(yaml.safe_load((CHART / "values.yaml").read_text()), schema, schema)
    )


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").removeprefix("#/definitions/")
    found: dict[str, Any] = root["definitions"][reference] if reference else schema
    return found


def _properties(schema: dict[str, Any], root: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, inner in _resolved(schema, root).get("properties", {}).items():
        yield f"{above}{key}"
        yield from _properties(inner, root, f"{above}{key}.")


def _keys(
    values: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], above: str = ""
) -> Iterator[str]:
    known = _resolved(schema, root).get("properties", {})
    for key, value in values.items():
        yield f"{above}{key}"
        if isinstance(value, dict) and "properties" in _resolved(known.get(key, {}), root):
            yield from _keys(value, known[key], root, f"{above}{key}.")
