"""MLflow's pages for people: the addresses of runs."""

import json
import os
from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

__all__ = ["MLFLOW_PUBLIC_URI", "Pages", "is_web_address", "mlflow_pages", "tag_filter"]

MLFLOW_PUBLIC_URI = "FLOWGAUGE_MLFLOW_PUBLIC_URI"


class Pages(NamedTuple):
    """The pages of the MLflow at *address*, which is http(s) and has no slash at its end."""

    address: str

    def run(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self.address}/#/runs/{quote(run_id, safe='')}"

    def runs(self, experiment_ids: Collection[str], tags: Mapping[str, str]) -> str:
        """Return the address of the list of all runs in the experiments that have the *tags*."""
        wanted = quote(tag_filter(tags), safe="")
        if len(experiment_ids) == 1:
            (experiment_id,) = experiment_ids
            place = f"experiments/{quote(experiment_id, safe='')}/runs?"
        else:
            ids = json.dumps(sorted(experiment_ids), separators=(",", ":"))
            place = f"compare-experiments/s?experiments={quote(ids, safe='')}&"
        return f"{self.address}/#/{place}searchFilter={wanted}"


def mlflow_pages(uri: str, environ: Mapping[str, str] = os.environ) -> Pages | None:
    """Return the pages of the MLflow at *uri*, or where FLOWGAUGE_MLFLOW_PUBLIC_URI says they are.

    None if that is no address of the web; a login in it is left out.
    """
    address = environ.get(MLFLOW_PUBLIC_URI) or uri
    if not is_web_address(address):
        return None
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return Pages(f"{parts.scheme}://{host}{parts.path.rstrip('/')}")


def is_web_address(text: str) -> bool:
    """Return whether *text* may be made a link: an http(s) address, and nothing that acts so."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable()


def tag_filter(tags: Mapping[str, str]) -> str:
    """Return MLflow's search for the runs that have all *tags*."""
    return " and ".join(f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items())


def _quoted(value: str) -> str:
    # MLflow's language knows both marks, and no way to write one within itself.
    mark = '"' if "'" in value else "'"
    return f"{mark}{value}{mark}"
