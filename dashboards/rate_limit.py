"""The rate limit and the outbox: who waits, and what has not arrived yet."""

from typing import Any

from dashboards import alert_rules, common
from dashboards.grafana import (
    Panel,
    above,
    dashboard,
    override,
    plain,
    query,
    row,
    stat,
    table,
    timeseries,
    variable,
)
from dashboards.promql import JOB, MINUTE, gauge, increase, label_values, minutes, total
from flowgauge.metrics import (
    BUILD_INFO,
    DAG_LOGS,
    DAG_LOGS_DEFERRED,
    OUTBOX_ENTRIES,
    OUTBOX_OLDEST,
    OUTBOX_POISON,
    RATE_LIMIT_CALLS,
    RATE_LIMIT_FAIL_OPEN,
    RATE_LIMIT_HITS,
    RATE_LIMIT_MAX_CALLS,
    RATE_LIMIT_WAIT,
    RATE_LIMIT_WINDOW_CALLS,
    RATE_LIMIT_WINDOW_SECONDS,
    STORE_RISK,
)

__all__ = ["rate_limit"]

_KEY = 'key=~"$key"'
_USE = f"{gauge(RATE_LIMIT_WINDOW_CALLS, _KEY)} / {gauge(RATE_LIMIT_MAX_CALLS, _KEY)}"
_OLDEST_AGE = f"time() - {gauge(OUTBOX_OLDEST)}"


def rate_limit() -> Any:
    """Return the dashboard of the rate limit and the outbox."""
    return dashboard(
        common.RATE_LIMIT,
        "MLflow rate limit and outbox",
        "The windows of @rate_limit against their limits, and the payloads that wait for MLflow.",
        variables=[
            *common.target_variables(BUILD_INFO, jobs=["flowgauge"]),
            variable("key", "Rate limit", label_values(RATE_LIMIT_MAX_CALLS, "key", JOB)),
        ],
        panels=[*_overview(), *_windows(), *_outbox()],
        links=common.links(but=common.RATE_LIMIT),
        annotations=[common.alerts_of(common.RATE_LIMIT)],
    )


def _overview() -> list[Panel]:
    return [
        stat(
            "Fullest window",
            "Calls in the fullest window, of those its limit allows. At 100 % the next call waits.",
            "percentunit",
            f"max({_USE})",
            above(1, color="orange"),
            decimals=0,
            no_value="not used",
        ),
        stat(
            "Hits in 5 min",
            "Calls in the last 5 minutes that found the busiest window full: they waited, or were "
            "refused. Orange where MLflowRateLimitSaturated fires.",
            "short",
            f"max({increase(RATE_LIMIT_HITS, '5m', _KEY, by='key')})",
            above(alert_rules.threshold("MLflowRateLimitSaturated"), color="orange"),
            decimals=0,
            no_value="not used",
        ),
        stat(
            "Callers waiting",
            "Seconds of waiting per second: how many calls wait at a time, on average.",
            "short",
            total(RATE_LIMIT_WAIT, _KEY),
            plain(),
            decimals=1,
            no_value="not used",
        ),
        stat(
            "Outbox",
            "Payloads that wait to be sent to MLflow.",
            "short",
            f"max({gauge(OUTBOX_ENTRIES)})",
            plain(),
            no_value="no data",
        ),
        stat(
            "Oldest payload",
            "How long the oldest payload in the outbox has waited. Red where MLflowOutboxBacklog "
            "fires.",
            "s",
            f"max({_OLDEST_AGE})",
            above(alert_rules.threshold("MLflowOutboxBacklog")),
            no_value="none waits",
        ),
        common.firing_alerts(common.RATE_LIMIT),
    ]


def _windows() -> list[Panel]:
    return [
        row("Rate limit"),
        timeseries(
            "Window against limit",
            "Calls in the window that ends now, and how many the limit allows.",
            "short",
            [
                query(gauge(RATE_LIMIT_WINDOW_CALLS, _KEY), "{{key}} calls"),
                query(gauge(RATE_LIMIT_MAX_CALLS, _KEY), "{{key}} limit"),
            ],
            overrides=[common.dashed("/ limit$/")],
        ),
        timeseries(
            "Hits in 5 min",
            "Calls that found the window full, over 5 minutes. The line is where "
            "MLflowRateLimitSaturated fires.",
            "short",
            [query(increase(RATE_LIMIT_HITS, "5m", _KEY, by="key"), "{{key}}")],
            thresholds=above(alert_rules.threshold("MLflowRateLimitSaturated"), color="orange"),
        ),
        timeseries(
            "Calls granted",
            "Calls that went ahead, per minute.",
            "opm",
            [query(f"60 * {total(RATE_LIMIT_CALLS, _KEY, by='key')}", "{{key}}")],
            width=8,
        ),
        timeseries(
            "Callers waiting",
            "Seconds of waiting per second: how many calls wait at a time, on average.",
            "short",
            [query(total(RATE_LIMIT_WAIT, _KEY, by="key"), "{{key}}")],
            width=8,
        ),
        timeseries(
            "Let through uncounted",
            "Calls per minute that went ahead without being counted, because the store did not "
            "answer in time. MLflow may see more than the limit.",
            "opm",
            [query(f"60 * {total(RATE_LIMIT_FAIL_OPEN, _KEY, by='key')}", "{{key}}")],
            width=8,
        ),
        table(
            "Limits",
            "Each rate limit as it stands, and what it did in the chosen time.",
            {
                "Calls in window": (
                    "short",
                    f"sum by (key) ({gauge(RATE_LIMIT_WINDOW_CALLS, _KEY)})",
                ),
                "Limit": ("short", f"sum by (key) ({gauge(RATE_LIMIT_MAX_CALLS, _KEY)})"),
                "Window": ("s", f"sum by (key) ({gauge(RATE_LIMIT_WINDOW_SECONDS, _KEY)})"),
                "Granted": ("short", increase(RATE_LIMIT_CALLS, "$__range", _KEY, by="key")),
                "Hits": ("short", increase(RATE_LIMIT_HITS, "$__range", _KEY, by="key")),
                "Waited": ("s", increase(RATE_LIMIT_WAIT, "$__range", _KEY, by="key")),
            },
            {"key": "Key"},
            sort_by="Hits",
            height=6,
            overrides=[override("byName", name, decimals=0) for name in ("Granted", "Hits")],
        ),
    ]


def _outbox() -> list[Panel]:
    return [
        row("Outbox"),
        timeseries(
            "Payloads waiting",
            "Payloads that wait to be sent, and those set aside because MLflow refused them for "
            "good: `flowgauge outbox list` shows why.",
            "short",
            [
                query(gauge(OUTBOX_ENTRIES), "waiting"),
                query(gauge(OUTBOX_POISON), "set aside"),
            ],
            width=6,
            overrides=[common.colored("set aside", "red")],
        ),
        timeseries(
            "Age of the oldest payload",
            "How long the oldest payload has waited. The line is where MLflowOutboxBacklog fires.",
            "m",
            [query(minutes(_OLDEST_AGE), "oldest")],
            no_value="No payload waits",
            thresholds=above(alert_rules.threshold("MLflowOutboxBacklog") / MINUTE),
            width=6,
        ),
        timeseries(
            "Deferred and logged",
            "Payloads put into the outbox, and payloads that arrived in MLflow, at once or from "
            "there, per minute.",
            "opm",
            [
                query(f"60 * {total(DAG_LOGS)}", "logged"),
                query(f"60 * {total(DAG_LOGS_DEFERRED)}", "deferred"),
            ],
            width=6,
        ),
        timeseries(
            "What would lose the outbox",
            "1 where the store may lose what it holds, as by an eviction policy or a full disk. "
            "`flowgauge check` says what to do.",
            "short",
            [query(f"max by (risk) ({gauge(STORE_RISK)})", "{{risk}}")],
            no_value="The store cannot be asked",
            width=6,
        ),
    ]
