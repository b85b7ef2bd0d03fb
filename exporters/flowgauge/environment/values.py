"""The kinds of values an environment file holds, each with the sentence for a wrong one.

None of them can hold a secret: whatever is read here may be rendered into files that people
commit.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo

from flowgauge.redact import redact_url
from flowgauge.store.engines import ENGINES

__all__ = [
    "AlertLabel",
    "AlertText",
    "Duration",
    "HostPort",
    "HttpUrl",
    "Image",
    "KubernetesName",
    "NonEmpty",
    "Objective",
    "Quantity",
    "ScrapeInterval",
    "SecretFile",
    "StoreUrl",
    "Url",
    "seconds",
]

_UNITS = {"y": 31536000, "w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+){unit})?" for unit in _UNITS), re.ASCII)
_LONGEST_DURATION = 20
# Prometheus refuses a file of rules for one of some centuries.
_LONGEST_SECONDS = _UNITS["y"]
_HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")
# https://github.com/distribution/reference/blob/main/reference.go
_IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(?::\d+)?(?:/[a-z0-9][a-z0-9._-]*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"\d+(?:\.\d+)?(?:m|[kMGTPE]|[KMGTPE]i)?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Those that alerts have already: of two that one label is written over, Prometheus tells neither.
_LABELS_OF_OURS = {
    "alertname", "severity", "environment", "cluster", "namespace", "job", "instance",
    "collector", "dag_id", "event", "job_name", "key", "pool", "reason", "risk", "route", "state",
    "status",
}  # fmt: skip
# The collectors may take 8 s, and Prometheus waits for a scrape no longer than till the next.
_FASTEST_SCRAPE_SECONDS = 10
# With more, a drained pool would be told later than two minutes after the third time-out.
_SLOWEST_SCRAPE_SECONDS = 30
_LOWEST_OBJECTIVE = 95
_HIGHEST_OBJECTIVE = 99.99


def seconds(duration: str) -> float:
    """Return how long a `Duration` is: `1h30m` is 5400."""
    match = _DURATION.fullmatch(duration)
    if match is None or len(duration) > _LONGEST_DURATION:
        raise ValueError(f"{duration!r} is no duration")
    return sum(int(number or 0) * _UNITS[unit] for unit, number in match.groupdict().items())


def _as_url(value: str) -> str:
    """Return *value* as a URL: a bare host, with or without port and path, is an https one."""
    url = value if "://" in value else f"https://{value}"
    advice = "must be a host such as mlflow.example.com, or a URL"
    try:
        parts = urlsplit(url)
        usable = parts.hostname or parts.scheme not in {"http", "https"}
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        raise ValueError(advice) from None
    if not usable or re.search(r"\s", url):
        raise ValueError(advice)
    return _without_secret(url, "give it to the processes that need it, by environment variables")


def _as_http_url(value: str) -> str:
    url = _as_url(value)
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be an http or https URL")
    return url.rstrip("/")


def _as_store(value: str) -> str:
    scheme, separator, _ = _non_empty(value).partition("://")
    if not separator or scheme not in ENGINES:
        raise ValueError(f"must be a URL that begins with one of {', '.join(ENGINES)}")
    return _without_secret(value, "set FLOWGAUGE_STORE where the process runs")


def _without_secret(url: str, cure: str) -> str:
    if "***" in redact_url(url):
        raise ValueError(f"must not hold a user, password or token: {cure}")
    return url


def _non_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _as_duration(value: str) -> str:
    if not value or not _DURATION.fullmatch(value) or len(value) > _LONGEST_DURATION:
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    if seconds(value) > _LONGEST_SECONDS:
        raise ValueError("must be a year at most")
    return value


def _as_alert_label(value: str) -> str:
    if not _LABEL.fullmatch(value) or value.startswith("__"):
        raise ValueError("must be a label's name: letters, digits and underscores")
    if value in _LABELS_OF_OURS:
        raise ValueError(f"must not be {value}, by which alerts are told apart and routed")
    return value


def _as_alert_text(value: str) -> str:
    # A template that is wrong has Prometheus refuse the file, and all alerts in it.
    if "{{" in value:
        raise ValueError("must be plain text: Prometheus would take {{ for a template")
    return value


def _as_scrape_interval(value: str) -> str:
    if not _FASTEST_SCRAPE_SECONDS <= seconds(_as_duration(value)) <= _SLOWEST_SCRAPE_SECONDS:
        raise ValueError(
            "must be between 10s and 30s: slower, a drained database pool is not told within two "
            "minutes; faster, a scrape ends before an exporter whose MLflow hangs has answered"
        )
    return value


def _as_objective(value: float) -> float:
    if not _LOWEST_OBJECTIVE <= value <= _HIGHEST_OBJECTIVE:
        raise ValueError(
            f"must be a percentage from {_LOWEST_OBJECTIVE} to {_HIGHEST_OBJECTIVE}: with a lower "
            "one no outage is fast enough for MLflowErrorBudgetBurn1h, with a higher one the first "
            "outage spends all of the budget before anybody is told"
        )
    return value


def _as_host_port(value: str) -> str:
    match = _HOST_PORT.fullmatch(value)
    if not match or not 0 < int(match["port"]) < 2**16:
        raise ValueError("must be HOST:PORT, such as mlflow-0.example.com:5000")
    return value


def _as_secret_file(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must be the absolute path of a file that holds the secret")
    return value


def _as_image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise ValueError("must be a container image such as registry.example.com/flowgauge:1.0")
    return value


def _as_kubernetes_name(value: str) -> str:
    if not _DNS_LABEL.fullmatch(value):
        raise ValueError("must be a Kubernetes name: lower-case letters, digits and dashes")
    return value


def _as_quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError("must be a quantity such as 50m or 96Mi, in quotes where it is a number")
    return value


def _shown(pattern: str) -> FieldInfo:
    """Let an editor check what it can: the validators above say it better."""
    info: FieldInfo = Field(json_schema_extra={"pattern": f"^(?:{pattern})$"})
    return info


Url = Annotated[str, AfterValidator(_as_url)]
HttpUrl = Annotated[str, AfterValidator(_as_http_url)]
StoreUrl = Annotated[str, AfterValidator(_as_store)]
NonEmpty = Annotated[str, AfterValidator(_non_empty), _shown(r".*\S.*")]
Duration = Annotated[str, AfterValidator(_as_duration), _shown(r"(?:\d+(?:ms|[ywdhms]))+")]
AlertLabel = Annotated[str, AfterValidator(_as_alert_label), _shown(_LABEL.pattern)]
AlertText = Annotated[str, AfterValidator(_as_alert_text)]
ScrapeInterval = Annotated[str, AfterValidator(_as_scrape_interval), _shown(r"[12]\ds|30s")]
Objective = Annotated[
    float,
    AfterValidator(_as_objective),
    Field(json_schema_extra={"minimum": _LOWEST_OBJECTIVE, "maximum": _HIGHEST_OBJECTIVE}),
]
HostPort = Annotated[str, AfterValidator(_as_host_port), _shown(r".+:\d+")]
SecretFile = Annotated[str, AfterValidator(_as_secret_file), _shown("/.+")]
Image = Annotated[str, AfterValidator(_as_image)]
Quantity = Annotated[str, AfterValidator(_as_quantity), _shown(_QUANTITY.pattern)]
KubernetesName = Annotated[str, AfterValidator(_as_kubernetes_name), _shown(_DNS_LABEL.pattern)]
