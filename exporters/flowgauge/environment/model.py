"""What an environment file may say. The docstrings are the descriptions in the JSON Schema."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowgauge import __version__
from flowgauge.environment.rate_limits import RateLimitSetting
from flowgauge.environment.values import (
    AlertLabel,
    AlertText,
    Duration,
    HostPort,
    HttpUrl,
    Image,
    KubernetesName,
    NonEmpty,
    Objective,
    Quantity,
    ScrapeInterval,
    SecretFile,
    StoreUrl,
    Url,
)
from flowgauge.links import AS_WRITTEN, Links

__all__ = [
    "AlertOverride",
    "BasicAuth",
    "Domains",
    "Email",
    "Endpoint",
    "Environment",
    "Kubernetes",
    "Login",
    "MlflowService",
    "MonitorTls",
    "PagerDuty",
    "PrometheusSettings",
    "RateLimitSetting",
    "Receiver",
    "ReceiverName",
    "RemoteWrite",
    "Resources",
    "Severity",
    "Slack",
    "Urls",
    "Webhook",
]

Severity = Literal["critical", "warning"]
ReceiverName = Literal["page", "ticket", "watchdog"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domains(_Section):
    """Where the services of the environment are."""

    mlflow: Url
    """The MLflow server: a host such as mlflow.example.com, which means https, or a URL."""


class AlertOverride(_Section):
    """What this environment changes about one alert."""

    enabled: bool = True
    """Whether the alert is there at all."""
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The number the alert compares with."""
    for_: Annotated[Duration | None, Field(alias="for")] = None
    """How long the condition must hold before the alert fires."""
    severity: Severity | None = None
    labels: dict[AlertLabel, AlertText] = Field(default_factory=dict)
    """More labels, for your own routes: team: data."""


class Urls(_Section):
    """Where the links in alerts and dashboards lead."""

    dashboards: HttpUrl | None = None
    """Grafana: https://grafana.example.com."""
    runbooks: HttpUrl | None = None
    """The folder that holds the runbooks' pages."""

    @property
    def links(self) -> Links:
        """Both, with what the rules and dashboards say in the place of what is not given."""
        return Links(
            dashboards=self.dashboards or AS_WRITTEN.dashboards,
            runbooks=self.runbooks or AS_WRITTEN.runbooks,
        )


class BasicAuth(_Section):
    """A login; the password is in a file."""

    username: NonEmpty
    password_file: SecretFile


class Login(_Section):
    """How Prometheus logs in: not at all, with a password, or with a token."""

    basic_auth: BasicAuth | None = None
    credentials_file: SecretFile | None = None
    """A file that holds a bearer token."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.basic_auth and self.credentials_file:
            raise ValueError("must have basic_auth or credentials_file, not both")
        return self


class Endpoint(Login):
    """Where Prometheus scrapes one job."""

    targets: list[HostPort] = Field(default_factory=list)
    """HOST:PORT of every instance; each replica must be scraped by itself."""


class RemoteWrite(Login):
    """A long-term store that Prometheus sends everything to."""

    url: HttpUrl


class PrometheusSettings(_Section):
    """How Prometheus scrapes and where its data go."""

    scrape_interval: ScrapeInterval = "15s"
    mlflow: Endpoint = Field(default_factory=Endpoint)
    """Default target: the host of domains.mlflow."""
    exporter: Endpoint = Field(default_factory=Endpoint)
    """Default target: exporter:9877."""
    relay: Endpoint = Field(default_factory=Endpoint)
    """Default target: relay:9878."""
    alertmanagers: list[HostPort] = Field(default_factory=lambda: ["alertmanager:9093"])
    remote_write: list[RemoteWrite] = Field(default_factory=list)
    url: HttpUrl = "http://prometheus:9090"
    """Where Grafana reaches Prometheus."""


class Webhook(_Section):
    """An HTTP endpoint that Alertmanager posts to."""

    url: HttpUrl
    credentials_file: SecretFile | None = None
    """A file that holds a bearer token."""


class Email(_Section):
    """Mail, through an SMTP server."""

    to: NonEmpty
    from_: Annotated[NonEmpty, Field(alias="from")]
    smarthost: HostPort
    username: NonEmpty | None = None
    password_file: SecretFile | None = None


class Slack(_Section):
    """A Slack channel."""

    channel: NonEmpty
    api_url_file: SecretFile
    """A file that holds the incoming webhook's URL."""


class PagerDuty(_Section):
    """A PagerDuty service."""

    routing_key_file: SecretFile
    """A file that holds the integration key (Events API v2)."""


class Receiver(_Section):
    """Who is told, in every way that is given."""

    webhook: Webhook | None = None
    email: Email | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None

    @property
    def is_told(self) -> bool:
        """Whether there is any way."""
        return any((self.webhook, self.email, self.slack, self.pagerduty))


class MonitorTls(_Section):
    """How Prometheus checks the certificate of MLflow."""

    ca_secret: KubernetesName | None = None
    """A Secret with the key ca.crt: the authority that signed it."""
    server_name: NonEmpty | None = None
    """The name in it, where that is not the one Prometheus asks for."""
    insecure_skip_verify: bool = False
    """Do not check it."""


class MlflowService(_Section):
    """How the Kubernetes Service of MLflow is found, and scraped."""

    namespace: KubernetesName | None = None
    """Default: kubernetes.namespace."""
    selector: dict[str, str] = Field(default_factory=lambda: {"app.kubernetes.io/name": "mlflow"})
    """Labels of the Service."""
    port: NonEmpty = "http"
    """Name of the Service's port."""
    scheme: Literal["http", "https"] = "http"
    tls: MonitorTls | None = None
    basic_auth_secret: KubernetesName | None = None
    """A Secret with the keys username and password, where /metrics asks for a login."""
    token_secret: KubernetesName | None = None
    """A Secret with the key token, where /metrics asks for one."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.basic_auth_secret and self.token_secret:
            raise ValueError("must have basic_auth_secret or token_secret, not both")
        return self

    @model_validator(mode="after")
    def _no_certificate_without_tls(self) -> Self:
        if self.tls and self.scheme == "http":
            raise ValueError("must have scheme https where it has tls")
        return self


class Resources(_Section):
    """What a container asks for and may take, as Kubernetes writes it: cpu: 50m, memory: 96Mi."""

    requests: dict[NonEmpty, Quantity] = Field(default_factory=dict)
    limits: dict[NonEmpty, Quantity] = Field(default_factory=dict)


class Kubernetes(_Section):
    """Deploy to Kubernetes, monitored by the Prometheus operator."""

    namespace: KubernetesName = "flowgauge"
    replicas: Annotated[int, Field(ge=1)] = 1
    """How many exporters run; one is enough, two survive the loss of a node."""
    image_pull_secrets: list[KubernetesName] = Field(default_factory=list)
    """Secrets with the registry's login."""
    resources: Resources | None = None
    """Of exporter and relay alike, in the place of their own."""
    mlflow: MlflowService = Field(default_factory=MlflowService)
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels that the operator selects rules and monitors by: {release: kube-prometheus-stack}."""
    prometheus_namespace: KubernetesName | None = None
    """Where Prometheus runs: from elsewhere nobody may connect. By default from any namespace, by
    pods that are called prometheus."""


class Environment(_Section):
    """One environment of flowgauge: all that one deployment differs in from another.

    `domains.mlflow` alone is a whole file; every other section has a default.
    """

    domains: Domains
    store: StoreUrl | None = None
    """What tasks write and the exporter reads: redis://redis:6379/0 or postgresql://db/flowgauge.
    A URL that holds a password goes into FLOWGAUGE_STORE instead."""
    rate_limits: dict[str, RateLimitSetting] = Field(default_factory=dict)
    """Rate limits by key, such as mlflow_api."""
    alerts: dict[str, AlertOverride] = Field(default_factory=dict)
    """Alerts by name."""
    objective: Objective = 99.5
    """How many percent of the requests to MLflow are to be served. The others are the error budget,
    which the alerts MLflowErrorBudgetBurn* and the dashboards' budget are about."""
    urls: Urls = Field(default_factory=Urls)
    receivers: dict[ReceiverName, Receiver] = Field(default_factory=dict)
    """`page` is told of critical alerts, `ticket` of warnings; without one they are only shown.
    `watchdog` is called every few minutes, so that somebody outside misses it."""
    prometheus: PrometheusSettings = Field(default_factory=PrometheusSettings)
    image: Image = f"flowgauge:{__version__}"
    """The container image of exporter and relay."""
    kubernetes: Kubernetes | None = None

    @model_validator(mode="after")
    def _reachable_from_pods(self) -> "Environment":
        if self.kubernetes and (self.store or "").startswith("sqlite:"):
            raise ValueError(
                "store must be a redis:// or postgresql:// URL in Kubernetes, pods share no file"
            )
        return self
