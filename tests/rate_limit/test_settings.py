"""Rate limits that are set by an environment variable, or by an environment's file."""

import sys
from pathlib import Path

import pytest

from flowgauge.airflow.rate_limiter import RateLimit


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mlflow_api=20", "must have the form"),
        ("[1]", "must have the form"),
        ('{"api": 20}', "must have the form"),
        ('{"api": {"max_calls": 0}}', "max_calls of api must be a whole number from 1"),
        ('{"api": {"max_calls": true}}', "max_calls of api must be"),
        ('{"api": {"max_calls": 2, "window_seconds": "1m"}}', "window_seconds of api must be"),
        ('{"api": {"max_calls": 2, "window_seconds": NaN}}', "window_seconds of api must be"),
        ('{"api": {"max_calls": 2, "per": 1}}', "and no per"),
        ("[" * 100_000, "must have the form"),
    ],
)
def test_a_wrong_variable_leaves_the_numbers_of_the_code(
    text: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs a warning that says what is wrong, not the task."""
    monkeypatch.setenv("FLOWGAUGE_RATE_LIMITS", text)
    assert RateLimit("api", 2, 60).as_configured() == RateLimit("api", 2, 60)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("FLOWGAUGE_RATE_LIMITS is ignored")
    assert why in warning


def test_a_package_that_is_missing_leaves_the_numbers_of_the_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without what reads the environment's file, a warning says so, and the task goes on."""
    _write(folder, "rate_limits: {api: {max_calls: 1, window_seconds: 1}}", monkeypatch)
    monkeypatch.setitem(sys.modules, "flowgauge.environment.rate_limits", None)
    assert RateLimit("api", 2, 60).as_configured() == RateLimit("api", 2, 60)
    assert "The rate limits in the code apply" in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rate_limits: {api: {max_calls: 0}}", "rate_limits.api.max_calls must be greater than 0"),
        ("rate_limits: {api: {calls: 1}}", "the keys are max_calls, window_seconds"),
        ("rate_limits: 20", "rate_limits must be a mapping"),
        ("rate_limits: {api: {max_calls: 1}, api: {max_calls: 2}}", "is given twice"),
        ("rate_limits: {api: [", "is not valid YAML"),
        ("alerts: {rate_limits: {api: {max_calls: 1}}}", "alerts.rate_limits.api is not a key"),
        ("- rate_limits", "must be a mapping"),
    ],
)
def test_a_wrong_file_leaves_the_numbers_of_the_code(
    text: str,
    why: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is wrong about its rate limits costs a warning that says so, not the task."""
    _write(folder, text if text.startswith("-") else f"domains: {{mlflow: h}}\n{text}", monkeypatch)
    assert RateLimit("api", 2, 60).as_configured() == RateLimit("api", 2, 60)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("The rate limits in the code apply")
    assert why in warning


def test_only_the_rate_limits_of_a_file_count_for_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A task reads no other section: what is wrong there is for the commands to say."""
    _write(folder, "receivers: {nobody: 1}\nrate_limits: {api: {max_calls: 9}}", monkeypatch)
    assert RateLimit("api", 2, 60).as_configured() == RateLimit("api", 9, 60)
    assert not caplog.records


def _write(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "own.yaml").write_text(text)
    monkeypatch.setenv("FLOWGAUGE_ENVIRONMENTS", str(folder))
    monkeypatch.setenv("ENV", "own")
