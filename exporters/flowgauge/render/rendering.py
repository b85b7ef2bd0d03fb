"""All files of one environment, as texts: a pure function of the environment."""

from flowgauge.environment.model import Environment
from flowgauge.render.alertmanager import alertmanager_files
from flowgauge.render.files import Files
from flowgauge.render.grafana import grafana_files
from flowgauge.render.kubernetes import kubernetes_files
from flowgauge.render.prometheus import prometheus_files
from flowgauge.render.rules import alerts, changed_thresholds, rule_files
from flowgauge.render.variables import worker_files

__all__ = ["render"]


def render(name: str, environment: Environment) -> Files:
    """Return all that the environment *name* is deployed with, by path.

    The same environment gives the same texts. None of them holds a secret: they name the files and
    Kubernetes Secrets that do. Raises `UsageError` for what cannot be rendered.
    """
    files = {
        **prometheus_files(name, environment),
        **rule_files(name, environment),
        **alertmanager_files(environment, alerts()),
        **grafana_files(environment, changed_thresholds(environment)),
        **worker_files(environment),
    }
    if environment.kubernetes:
        files |= kubernetes_files(name, environment, environment.kubernetes, files)
    return files
