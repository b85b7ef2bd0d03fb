"""What Prometheus says: whether it scrapes both jobs, keeps our histograms and has our rules.

API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from flowgauge.assets import asset
from flowgauge.compatibility import remark
from flowgauge.diagnosis.page import PageError, Site
from flowgauge.diagnosis.step import NotSeen
from flowgauge.errors import FlowgaugeError
from flowgauge.http_client import json_object
from flowgauge.light_httpx import httpx
from flowgauge.redact import quote
from flowgauge.rules.files import read_rules
from flowgauge.strict_yaml import require_shallow

__all__ = ["ask_prometheus"]

_JOBS = ("mlflow", "flowgauge")
_CONVERT = "convert_classic_histograms_to_nhcb"
_KEEP = "always_scrape_classic_histograms"

_Data = TypeVar("_Data", bound=BaseModel)


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


class _Sample(BaseModel):
    metric: dict[str, str]
    value: tuple[float, float]


class _Vector(BaseModel):
    result: list[_Sample]


class _BuildInfo(BaseModel):
    version: str | None = None


class _ShownConfiguration(BaseModel):
    yaml: str


class _Scraping(BaseModel):
    """Settings for all jobs, or those of one, which win."""

    convert_classic_histograms_to_nhcb: bool | None = None
    always_scrape_classic_histograms: bool | None = None

    def converts(self, default: "_Scraping") -> bool:
        """Return whether the classic histograms are gone."""
        ours, all_jobs = self.model_dump(exclude_none=True), default.model_dump()
        settings = {**all_jobs, **ours}
        return bool(settings[_CONVERT] and not settings[_KEEP])


class _Job(_Scraping):
    job_name: str


class _Configuration(BaseModel):
    # `global` is a word of Python's.
    all_jobs: _Scraping = Field(default=_Scraping(), alias="global")
    scrape_configs: list[_Job] = []


class _Target(BaseModel):
    labels: dict[str, str]
    scrapePool: str = ""  # noqa: N815 - Prometheus' name


class _Targets(BaseModel):
    activeTargets: list[_Target] | None  # noqa: N815 - Prometheus' name


class _Rule(BaseModel):
    name: str
    health: str | None = None
    lastError: str | None = None  # noqa: N815 - Prometheus' name


class _Group(BaseModel):
    rules: list[_Rule] | None = None


class _Groups(BaseModel):
    groups: list[_Group] | None


def _version(site: Site) -> str:
    found = _data(site, "/api/v1/status/buildinfo", _BuildInfo)
    if found is None or not found.version:
        return "answers, without a version"
    return f"is Prometheus {quote(found.version)}{remark('prometheus', found.version)}"


def _check_jobs(site: Site) -> None:
    query = {"query": f'up{{job=~"{"|".join(_JOBS)}"}}'}
    vector = _data(site, "/api/v1/query", _Vector, query)
    if vector is None:
        raise _not_prometheus(site)
    for job in _JOBS:
        if job not in {sample.metric.get("job") for sample in vector.result}:
            raise FlowgaugeError(
                f"Prometheus at {site.address} scrapes no job {job}: add it to its configuration, "
                "under this name, which the rules look for"
            )
    for sample in vector.result:
        if sample.value[1] != 1:
            instance, job = (quote(sample.metric.get(each, "")) for each in ("instance", "job"))
            raise FlowgaugeError(
                f"Prometheus at {site.address} cannot scrape {instance} of the job {job}: its page "
                "/targets says why"
            )


def _histograms(site: Site) -> str:
    configuration = _configuration(site)
    if configuration is None:
        return "does not show its configuration"
    ours = _our_jobs(site, configuration.scrape_configs)
    if ours is None:
        return "does not show how it scrapes them"
    if any(job.converts(configuration.all_jobs) for job in ours):
        raise FlowgaugeError(
            f"Prometheus at {site.address} converts classic histograms away, which the latency "
            f"rules read: set {_CONVERT} to false, or {_KEEP} to true"
        )
    return "keeps the classic histograms"


def _configuration(site: Site) -> _Configuration | None:
    shown = _data(site, "/api/v1/status/config", _ShownConfiguration)
    if shown is None:
        return None
    try:
        require_shallow(shown.yaml)
        # As texts: Prometheus' YAML and Python's do not agree on what else a bare word may be.
        texts = yaml.load(shown.yaml, yaml.BaseLoader)  # noqa: S506 - it makes texts alone
        return _Configuration.model_validate(texts)
    except (yaml.YAMLError, ValidationError, RecursionError):
        return None


def _our_jobs(site: Site, jobs: Iterable[_Job]) -> list[_Job] | None:
    """Return how our jobs are scraped; None if *jobs*, of the configuration, do not say it."""
    by_name = {job.job_name: job for job in jobs}
    names = set(_JOBS)
    if not names <= by_name.keys():
        # The operator's jobs have names of its own, and `job` is a label that it sets.
        targets = _data(site, "/api/v1/targets", _Targets, {"state": "active"})
        active = (targets and targets.activeTargets) or []
        names = {each.scrapePool for each in active if each.labels.get("job") in _JOBS}
    if not names or not names <= by_name.keys():
        return None
    return [by_name[name] for name in names]


def _rules(site: Site) -> str:
    found = _data(site, "/api/v1/rules", _Groups)
    if found is None:
        return "does not show its rules"
    ours = _our_rules()
    groups = found.groups or []
    rules = [rule for group in groups for rule in group.rules or [] if rule.name in ours]
    for rule in rules:
        if rule.health == "err":
            raise FlowgaugeError(
                f"Prometheus at {site.address} cannot evaluate the rule {rule.name} "
                f"({quote(rule.lastError or '')}): see its page /rules"
            )
    loaded = {rule.name for rule in rules}
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
    site: Site, path: str, kind: type[_Data], query: Mapping[str, str] | None = None
) -> _Data | None:
    """Return the data in the answer; None if this service has no such page."""
    try:
        answer = json_object(site.get(path, query))
        return kind.model_validate((answer or {}).get("data"))
    except PageError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return None
        raise
    except ValidationError:
        raise _not_prometheus(site) from None


def _not_prometheus(site: Site) -> FlowgaugeError:
    return FlowgaugeError(
        f"what answers at {site.address} is not Prometheus: correct {site.option}"
    )
