"""The section `rate_limits` of an environment file, for tasks, which need no other."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["OnlyRateLimits", "RateLimitSetting"]


class RateLimitSetting(BaseModel):
    """A rate limit that replaces the one in the code: *max_calls* in any *window_seconds*."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_calls: Annotated[int, Field(gt=0)]
    window_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Left out, the window keeps the length it has in the code."""


class OnlyRateLimits(BaseModel):
    """An environment file, of which nothing else is looked at."""

    rate_limits: dict[str, RateLimitSetting]
