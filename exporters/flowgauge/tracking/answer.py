"""What MLflow answers: JSON objects."""

from typing import Any

import httpx

__all__ = ["json_object"]


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """Return the object in *response*, empty for an empty body, None if it holds none."""
    if not response.content.strip():
        return {}
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
