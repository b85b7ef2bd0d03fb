"""MLflow's own jobs on the server's dashboard: what ends how, what waits."""

from dashboards import alert_rules, common
from dashboards.grafana import Panel, above, query, row, timeseries
from dashboards.promql import MINUTE, gauge, minutes, select
from flowgauge.metrics import INVENTORY_READ, JOBS, JOBS_OLDEST_PENDING

__all__ = ["panels"]


def panels() -> list[Panel]:
    """Return the row about jobs."""
    failed, ended = "FAILED|TIMEOUT", "FAILED|TIMEOUT|SUCCEEDED"
    unfinished = 'status=~"PENDING|RUNNING|NEEDS_RECOVERY"'
    waiting = (
        f"{select(INVENTORY_READ.name)} - ignoring (job_name) group_right () "
        f"{select(JOBS_OLDEST_PENDING.name)}"
    )
    return [
        row("Jobs"),
        timeseries(
            "Jobs that ended",
            "Scorers, evaluations and the like that ended within 30 minutes, by how. They fail in "
            "processes of their own: no request shows it.",
            "short",
            [query(_ended(ended), "{{job_name}} {{status}}")],
            no_value="No jobs",
            width=8,
            overrides=[common.shaded("/ FAILED$| TIMEOUT$/", "red")],
        ),
        timeseries(
            "Jobs that failed",
            "Of those that ended within 30 minutes. The line is where MLflowJobsFailing fires, of "
            "three at least.",
            "percentunit",
            [
                query(
                    f"sum by (job_name) ({_ended(failed)}) "
                    f"/ (sum by (job_name) ({_ended(ended)}) > 0)",
                    "{{job_name}}",
                )
            ],
            thresholds=above(alert_rules.threshold("MLflowJobsFailing")),
            overrides=[common.shaded("/./", "red")],
            no_value="No jobs",
            width=6,
        ),
        timeseries(
            "Unfinished jobs",
            "Jobs that are pending or running.",
            "short",
            [
                query(
                    f"max by (job_name, status) ({gauge(JOBS, unfinished)})",
                    "{{job_name}} {{status}}",
                )
            ],
            no_value="No jobs",
            width=5,
        ),
        timeseries(
            "Longest wait",
            "How long the job that has been pending the longest has been. The line is where "
            "MLflowJobsStuck fires.",
            "m",
            [query(minutes(f"max by (job_name) ({waiting})"), "{{job_name}}")],
            thresholds=above(alert_rules.threshold("MLflowJobsStuck") / MINUTE),
            no_value="None is pending",
            width=5,
        ),
    ]


def _ended(statuses: str) -> str:
    """Return how many jobs came to one of *statuses* within 30 minutes; all servers count them."""
    chosen = select(JOBS.name, f'status=~"{statuses}"')
    return f"clamp_min(max by (job_name, status) (delta({chosen}[30m])), 0)"
