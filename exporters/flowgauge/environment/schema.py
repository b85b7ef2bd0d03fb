"""The JSON Schema of environment files, by which editors complete and check them."""

from typing import Any

from flowgauge.assets import asset
from flowgauge.environment.model import Environment
from flowgauge.rules.files import read_rules

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12); it knows the names of the alerts."""
    schema = Environment.model_json_schema()
    sources = read_rules([str(asset("alerts") / "*.yaml")])
    alerts = sorted(rule.alert for source in sources for rule in source.file.rules if rule.alert)
    schema["properties"]["alerts"]["propertyNames"] = {"enum": alerts}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
