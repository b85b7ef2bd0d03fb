"""The JSON Schema of environment files, by which editors complete and check them."""

import ast
import inspect
from collections.abc import Iterable
from itertools import pairwise
from types import ModuleType
from typing import Any

from flowgauge.environment import model, rate_limits
from flowgauge.environment.model import Environment

__all__ = ["json_schema"]


def json_schema(alerts: Iterable[str]) -> dict[str, Any]:
    """Return the schema (draft 2020-12), in which *alerts* are the names that can be overridden."""
    schema = Environment.model_json_schema()
    _describe(schema)
    schema["properties"]["alerts"]["propertyNames"] = {"enum": sorted(alerts)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _statements(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _describe(schema: dict[str, Any]) -> None:
    """Give every field its docstring.

    pydantic can do that itself (`use_attribute_docstrings`), but reads the source whenever the
    model is imported, which costs every task 60 ms.
    """
    sections = {**schema["$defs"], Environment.__name__: schema}
    for section in [*_statements(model), *_statements(rate_limits)]:
        if isinstance(section, ast.ClassDef) and section.name in sections:
            fields = getattr(model, section.name).model_fields
            described = sections[section.name]["properties"]
            for statement, docstring in pairwise(section.body):
                match statement, docstring:
                    case (
                        ast.AnnAssign(target=ast.Name(name)),
                        ast.Expr(ast.Constant(str(text))),
                    ):
                        described[fields[name].alias or name]["description"] = inspect.cleandoc(
                            text
                        )
