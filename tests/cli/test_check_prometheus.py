"""`flowgauge check` asks Prometheus whether it sees what our rules need."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from flowgauge.assets import asset
from flowgauge.diagnosis.prometheus import ask_prometheus
from flowgauge.diagnosis.step import NotSeen
from flowgauge.errors import FlowgaugeError, UsageError
from stack.process import LOOPBACK, wait_for
from stack.prometheus import Prometheus, prometheus
from stack.unwell import CannedServer, canned_server
from tests.cli.checking import NOWHERE, check

RULES = sorted(asset("alerts").glob("*.yaml"))


@pytest.fixture
def target() -> Iterator[CannedServer]:
    """What Prometheus scrapes."""
    with canned_server() as server:
        server.headers, server.body = {"Content-Type": "text/plain"}, "one 1\n"
        yield server


@contextmanager
def _watching(folder: Path, jobs: dict[str, str], rules: Sequence[Path] = ()) -> Iterator[str]:
    with prometheus(folder, jobs, rules=rules) as server:
        wait_for(partial(_has_scraped, server, len(jobs)), "a scrape of each job")
        yield server.url


def _has_scraped(server: Prometheus, jobs: int) -> bool:
    return len(server.query("up")) == jobs


def _address(server: CannedServer) -> str:
    return server.url.removeprefix("http://")


def test_a_prometheus_that_sees_everything_is_fine(target: CannedServer, folder: Path) -> None:
    """Both jobs up, histograms kept, our rules loaded: the step says so, and the version."""
    jobs = {"mlflow": _address(target), "flowgauge": _address(target)}
    with _watching(folder, jobs, RULES) as url:
        answer = check(folder, "--mlflow-uri", NOWHERE, FLOWGAUGE_PROMETHEUS_URL=url)
    said = answer.message("Prometheus")
    assert answer.status("Prometheus") == "ok", said
    assert f"{url} is Prometheus " in said
    assert "keeps the classic histograms" in said
    loaded, ours = said.rpartition("has ")[2].removesuffix(" rules").split(" of our ")
    assert loaded == ours


@pytest.mark.parametrize(
    ("jobs", "rules", "said"),
    [
        ({"mlflow"}, RULES, "scrapes no job flowgauge"),
        ({"mlflow", "flowgauge"}, [], "has none of our rules"),
    ],
)
def test_what_prometheus_lacks_is_named(
    target: CannedServer, folder: Path, jobs: set[str], rules: Sequence[Path], said: str
) -> None:
    """A job that is not there, and rules that are not loaded, are faults with a cure."""
    addresses = dict.fromkeys(jobs, _address(target))
    with _watching(folder, addresses, rules) as url, pytest.raises(FlowgaugeError, match=said):
        ask_prometheus(url)


def test_a_target_that_is_down_is_named(target: CannedServer, folder: Path) -> None:
    """A job that Prometheus cannot scrape is a fault, with the instance's name."""
    nobody = f"{LOOPBACK}:1"
    addresses = {"mlflow": nobody, "flowgauge": _address(target)}
    said = f"cannot scrape {nobody} of the job mlflow"
    with _watching(folder, addresses) as url, pytest.raises(FlowgaugeError, match=said):
        ask_prometheus(url)


_UP = '{"metric": {"job": "%s", "instance": "i"}, "value": [0, "1"]}'
_QUERY = f'{{"data": {{"result": [{_UP % "mlflow"}, {_UP % "flowgauge"}]}}}}'


def _with_configuration(
    server: CannedServer, configuration: str, pools: Sequence[tuple[str, str]] = ()
) -> str:
    """Answer as a Prometheus 3 does whose configuration that is; return the URL.

    *pools* are the label `job` and the configuration's job of the active targets.
    """
    targets = [{"labels": {"job": job}, "scrapePool": pool} for job, pool in pools]
    server.pages = {
        "/api/v1/query": _QUERY,
        "/api/v1/status/config": json.dumps({"data": {"yaml": configuration}}),
        "/api/v1/targets": json.dumps({"data": {"activeTargets": targets}}),
    }
    return server.url


_OURS = [("mlflow", "mlflow"), ("flowgauge", "mlflow")]
_OPERATORS = [("mlflow", "serviceMonitor/a/b/0"), ("flowgauge", "serviceMonitor/a/b/0")]


_CONVERT = "convert_classic_histograms_to_nhcb"
_KEEP = "always_scrape_classic_histograms"


@pytest.mark.parametrize(
    "configuration",
    [
        f"global: {{{_CONVERT}: true}}\nscrape_configs: [{{job_name: mlflow}}]",
        f"scrape_configs: [{{job_name: other}}, {{job_name: mlflow, {_CONVERT}: true}}]",
        f"global: {{{_CONVERT}: true}}\nscrape_configs: [{{job_name: mlflow, {_KEEP}: false}}]",
    ],
)
def test_histograms_that_are_converted_away_are_a_fault(
    target: CannedServer, configuration: str
) -> None:
    """Prometheus 3 may turn classic histograms into native ones, and our latency rules go blind."""
    url = _with_configuration(target, configuration, _OURS)
    with pytest.raises(FlowgaugeError, match=f"set {_CONVERT} to false"):
        ask_prometheus(url)


@pytest.mark.parametrize(
    "configuration",
    [
        f"global: {{{_CONVERT}: true, {_KEEP}: true}}\nscrape_configs: [{{job_name: mlflow}}]",
        f"global: {{{_CONVERT}: true}}\nscrape_configs: [{{job_name: mlflow, {_CONVERT}: false}}]",
        f"scrape_configs: [{{job_name: other, {_CONVERT}: true}}, {{job_name: mlflow}}]",
        "scrape_configs: [{job_name: mlflow, relabel_configs: [{separator: =}]}]",
    ],
)
def test_histograms_that_stay_are_none(target: CannedServer, configuration: str) -> None:
    """Kept beside, kept in our jobs, converted in others' only: that is fine."""
    assert "keeps the classic histograms" in ask_prometheus(
        _with_configuration(target, configuration, _OURS)
    )


@pytest.mark.parametrize(
    "configuration",
    [
        "scrape_configs: [{job_name: serviceMonitor/a/b/0, %s}]",
        "{scrape_configs: [{job_name: serviceMonitor/a/b/0}], global: {%s}}",
    ],
)
def test_the_operators_jobs_are_looked_at(target: CannedServer, configuration: str) -> None:
    """Where `job` is a label that the Prometheus operator sets, its own job counts."""
    converting = configuration % f"{_CONVERT}: true"
    url = _with_configuration(target, converting, _OPERATORS)
    with pytest.raises(FlowgaugeError, match=f"set {_CONVERT} to false"):
        ask_prometheus(url)
    keeping = configuration % f"{_CONVERT}: false"
    assert "keeps the" in ask_prometheus(_with_configuration(target, keeping, _OPERATORS))


@pytest.mark.parametrize("pools", [[], _OPERATORS])
def test_jobs_that_the_configuration_does_not_hold_are_not_vouched_for(
    target: CannedServer, pools: Sequence[tuple[str, str]]
) -> None:
    """Scraped by somebody else, or by a file of its own: nobody can say from here how."""
    said = ask_prometheus(_with_configuration(target, "global: {scrape_interval: 1m}", pools))
    assert "does not show how it scrapes them" in said


@pytest.mark.parametrize(
    "yaml",
    ["", "not for you", "a: [}", "scrape_configs: 1", pytest.param("[" * 5_000, id="deep")],
)
def test_a_configuration_that_nobody_can_read_is_not_shown(target: CannedServer, yaml: str) -> None:
    """Services that speak Prometheus' language put other things in its place."""
    assert "does not show its configuration" in ask_prometheus(_with_configuration(target, yaml))


@pytest.mark.parametrize("groups", ["null", '[{"rules": null}]', '[{"name": "empty"}]'])
def test_a_service_without_rules_has_none_of_ours(target: CannedServer, groups: str) -> None:
    """Whether it says so with an empty list, with null, or not at all."""
    target.pages = {"/api/v1/query": _QUERY, "/api/v1/rules": f'{{"data": {{"groups": {groups}}}}}'}
    with pytest.raises(FlowgaugeError, match="has none of our rules"):
        ask_prometheus(target.url)


def test_what_is_not_shown_is_passed_over(target: CannedServer) -> None:
    """A service that answers queries alone says nothing of version, configuration and rules."""
    target.pages = {"/api/v1/query": _QUERY}
    said = ask_prometheus(target.url)
    assert "without a version" in said
    assert "does not show its configuration" in said
    assert "does not show its rules" in said


def test_rules_that_fail_are_a_fault(target: CannedServer) -> None:
    """A rule of ours that Prometheus cannot evaluate is named."""
    rule = {"name": "MLflowServerDown", "health": "err", "lastError": "many-to-many"}
    rules = {"data": {"groups": [{"rules": [rule, {"name": "theirs"}]}]}}
    target.pages = {"/api/v1/query": _QUERY, "/api/v1/rules": json.dumps(rules)}
    with pytest.raises(FlowgaugeError, match="cannot evaluate the rule MLflowServerDown"):
        ask_prometheus(target.url)


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        (None, NotSeen, "no address given"),
        ("localhost:9090", UsageError, "--prometheus-url is no address"),
        (NOWHERE, FlowgaugeError, "refuses the connection"),
        ("http://prometheus.invalid", FlowgaugeError, "cannot be reached from here"),
    ],
)
def test_a_prometheus_that_cannot_be_asked_says_why(
    url: str | None, kind: type[Exception], said: str
) -> None:
    """No address is no fault; a wrong one is."""
    with pytest.raises(kind, match=said):
        ask_prometheus(url)


def test_what_is_not_prometheus_is_recognised(target: CannedServer) -> None:
    """A page that is no answer of Prometheus' API is told as that."""
    with pytest.raises(FlowgaugeError, match="is not Prometheus"):
        ask_prometheus(target.url)
