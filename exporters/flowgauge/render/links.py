"""The addresses that alerts and dashboards link to."""

from flowgauge.environment.model import Urls

__all__ = ["relink"]

# What the files say as they lie in the repository.
_DASHBOARDS = "https://grafana.example.com"
_RUNBOOKS = "https://github.com/flowgauge/flowgauge/blob/main/runbooks"


def relink(text: str, urls: Urls) -> str:
    """Return the rule file or dashboard *text* with links that lead to *urls*."""
    text = text.replace(f"{_DASHBOARDS}/", f"{urls.dashboards or _DASHBOARDS}/")
    # Without the slash: a dashboard links to the folder itself.
    return text.replace(_RUNBOOKS, urls.runbooks or _RUNBOOKS)
