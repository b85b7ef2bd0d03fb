"""The addresses that alerts and dashboards link to."""

from flowgauge.environment.model import Urls

__all__ = ["DASHBOARDS", "RUNBOOKS", "relink"]

# What the files say as they lie in the repository.
DASHBOARDS = "https://grafana.example.com"
RUNBOOKS = "https://github.com/flowgauge/flowgauge/blob/main/runbooks"


def relink(text: str, urls: Urls) -> str:
    """Return the rule file or dashboard *text* with links that lead to *urls*."""
    text = text.replace(f"{DASHBOARDS}/", f"{urls.dashboards or DASHBOARDS}/")
    # Without the slash: a dashboard links to the folder itself.
    return text.replace(RUNBOOKS, urls.runbooks or RUNBOOKS)
