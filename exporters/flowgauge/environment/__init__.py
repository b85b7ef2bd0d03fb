"""One environment: `environments/<name>.yaml`, checked.

`domains.mlflow: mlflow.example.com` alone is a whole file.
"""

from flowgauge.environment.model import Environment, RateLimitSetting
from flowgauge.environment.reading import environment_file, environments_folder, load_environment

__all__ = [
    "Environment",
    "RateLimitSetting",
    "environment_file",
    "environments_folder",
    "load_environment",
]
