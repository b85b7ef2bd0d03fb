"""One environment: `environments/<name>.yaml`, checked.

`domains.mlflow: mlflow.example.com` alone is a whole file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowgauge.environment.reading import (
    chosen_environment,
    environment_file,
    environments_folder,
    load_environment,
    load_rate_limits,
)

if TYPE_CHECKING:
    from flowgauge.environment.model import Environment, RateLimitSetting

__all__ = [
    "Environment",
    "RateLimitSetting",
    "chosen_environment",
    "environment_file",
    "environments_folder",
    "load_environment",
    "load_rate_limits",
]


def __getattr__(name: str) -> Any:
    # The model is loaded when a name of it is first used: see `load_environment`.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)
