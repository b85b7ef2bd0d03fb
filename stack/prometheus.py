"""A real Prometheus and Alertmanager: those on PATH, whichever version."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from stack.process import LOOPBACK, answers, free_port, running

__all__ = ["Prometheus", "alertmanager", "prometheus", "promtools", "version"]

_NEWER = Path(__file__).parents[1] / ".run" / "programs" / "prometheus" / "bin"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of *expression* as the HTTP API gives it."""
        result: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Return the value of *expression* if it is one series, else None."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now, but of the watchdog, which always does."""
        return {
            alert["labels"]["alertname"]
            for alert in self._ask("alerts")["alerts"]
            if alert["state"] == "firing" and alert["labels"].get("severity") != "none"
        }

    def _ask(self, what: str, **params: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}"
        # It is asked many times a second, and reading all certificates takes 20 ms.
        answer = httpx.get(url, params=params, timeout=60, verify=False)
        data: dict[str, Any] = answer.raise_for_status().json()["data"]
        return data


@contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, str],
    *,
    logins: Mapping[str, Mapping[str, Any]] | None = None,
    rules: Sequence[Path] = (),
    alertmanager_address: str | None = None,
    interval: str = "1s",
    port: int | None = None,
    lookback: str = "5m",
) -> Iterator[Prometheus]:
    """Run Prometheus on loopback until the block ends.

    *targets* maps a job name to its HOST:PORT, *logins* to its `basic_auth` or `authorization`;
    *rules* are rule files; *interval* is both the scrape and the evaluation interval,
    *lookback* for how long a series that just ends is taken to go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    configuration: dict[str, Any] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [address]}],
                **(logins or {}).get(job, {}),
            }
            for job, address in targets.items()
        ],
    }
    if alertmanager_address:
        configuration["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager_address]}]}]
        }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    url = f"http://{LOOPBACK}:{port}"
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}",
               f"--web.listen-address={LOOPBACK}:{port}", "--web.enable-lifecycle",
               f"--query.lookback-delta={lookback}"]  # fmt: skip
    with running(command, log=folder / "prometheus.log", ready=lambda: answers(f"{url}/-/ready")):
        yield Prometheus(url)


@contextmanager
def alertmanager(folder: Path, configuration: Path, *, port: int | None = None) -> Iterator[str]:
    """Run Alertmanager on loopback until the block ends; yield its HOST:PORT."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"{LOOPBACK}:{port or free_port()}"
    command = ["prometheus-alertmanager", f"--config.file={configuration}",
               f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={address}",
               "--cluster.listen-address="]  # fmt: skip
    with running(
        command, log=folder / "alertmanager.log", ready=lambda: answers(f"http://{address}/-/ready")
    ):
        yield address


def promtools() -> dict[str, str]:
    """Return the promtools here by version: that on PATH, and that of scripts/newer-programs."""
    found = [shutil.which("promtool"), shutil.which("promtool", path=_NEWER)]
    return {version(program): program for program in found if program}


def version(program: str) -> str:
    """Return the version of one of Prometheus' programs, a name on PATH or a path."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]
