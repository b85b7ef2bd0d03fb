"""What Prometheus says: whether it scrapes both jobs, keeps our histograms and has our rules.

API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Mapping
from typing import Any

import httpx
import yaml

from flowgauge.assets import asset
from flowgauge.compatibility import remark
from flowgauge.diagnosis.page import PageError, Site
from flowgauge.diagnosis.step import NotSeen
from flowgauge.errors import FlowgaugeError
from flowgauge.redact import quote
from flowgauge.rules.files import read_rules
from flowgauge.tracking.answer import json_object

__all__ = ["ask_prometheus"]

_JOBS = ("mlflow", "flowgauge")
_CONVERT = "convert_classic_histograms_to_nhcb"
_KEEP = "always_scrape_classic_histograms"


def ask_prometheus(url: str | None) -> str:
    """Ask the Prometheus at *url* and return what it says; raise `NotSeen` without *url*.

    Raises `FlowgaugeError` if a job is not scraped or down, if the histograms that our rules read
    are converted away, or if our rules are not loaded or fail. What a service that speaks
    Prometheus' language does not show (its configuration, its rules) is passed over with a word.
    """
    if not url:
        raise NotSeen("no address given: --prometheus-url has jobs, histograms and rules looked at")
    site = Site(
        name="Prometheus",
        url=url,
        option="--prometheus-url",
        cure_down="start it",
        cure_far="leave --prometheus-url out where nobody may ask it",
    )
    _check_jobs(site)
    found = [_version(site), "scrapes mlflow and flowgauge", _histograms(site), _rules(site)]
    return f"{site.address} {'; '.join(found)}"


def _version(site: Site) -> str:
    data = _data(site, "/api/v1/status/buildinfo")
    if data is None:
        return "answers, without a version"
    version = str(data.get("version", ""))
    return f"is Prometheus {version}{remark('prometheus', version)}"


def _check_jobs(site: Site) -> None:
    query = {"query": f'up{{job=~"{"|".join(_JOBS)}"}}'}
    data = _data(site, "/api/v1/query", query)
    if data is None:
        raise _not_prometheus(site)
    up = [(each["metric"], each["value"][1]) for each in data.get("result", [])]
    for job in _JOBS:
        if job not in {labels["job"] for labels, _ in up}:
            raise FlowgaugeError(
                f"Prometheus at {site.address} scrapes no job {job}: add it to its configuration, "
                "under this name, which the rules look for"
            )
    for labels, value in up:
        if float(value) != 1:
            raise FlowgaugeError(
                f"Prometheus at {site.address} cannot scrape {labels.get('instance', '')} of the "
                f"job {labels['job']}: its page /targets says why"
            )


def _histograms(site: Site) -> str:
    data = _data(site, "/api/v1/status/config")
    if data is None:
        return "does not show its configuration"
    configuration = yaml.safe_load(data["yaml"])
    ours = (each for each in configuration.get("scrape_configs") or [] if each["job_name"] in _JOBS)
    # A job's own setting wins over the one for all.
    settings = [{**(configuration.get("global") or {}), **job} for job in ours]
    if any(each.get(_CONVERT) and not each.get(_KEEP) for each in settings):
        raise FlowgaugeError(
            f"Prometheus at {site.address} converts classic histograms away, which the latency "
            f"rules read: set {_CONVERT} to false, or {_KEEP} to true"
        )
    return "keeps the classic histograms"


def _rules(site: Site) -> str:
    data = _data(site, "/api/v1/rules")
    if data is None:
        return "does not show its rules"
    ours = _our_rules()
    rules = [rule for group in data["groups"] for rule in group["rules"] if rule["name"] in ours]
    for rule in rules:
        if rule.get("health") == "err":
            raise FlowgaugeError(
                f"Prometheus at {site.address} cannot evaluate the rule {rule['name']} "
                f"({quote(rule.get('lastError', ''))}): see its page /rules"
            )
    loaded = {rule["name"] for rule in rules}
    if not loaded:
        raise FlowgaugeError(
            f"Prometheus at {site.address} has none of our rules: name the files of `alerts/`, "
            "or those that `flowgauge render` writes, under rule_files"
        )
    return f"has {len(loaded)} of our {len(ours)} rules"


def _our_rules() -> set[str | None]:
    files = read_rules([str(asset("alerts") / "*.yaml")])
    return {rule.alert or rule.record for source in files for rule in source.file.rules}


def _data(
    site: Site, path: str, query: Mapping[str, str] | None = None
) -> Mapping[str, Any] | None:
    """Return the data in the answer; None if this service has no such page."""
    try:
        answer = json_object(site.get(path, query))
    except PageError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return None
        raise
    data = (answer or {}).get("data")
    if not isinstance(data, dict):
        raise _not_prometheus(site)
    return data


def _not_prometheus(site: Site) -> FlowgaugeError:
    return FlowgaugeError(
        f"what answers at {site.address} is not Prometheus: correct {site.option}"
    )
