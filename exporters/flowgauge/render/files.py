"""What a rendering is made of: texts by path."""

from collections.abc import Mapping
from typing import Any

import yaml

__all__ = ["Files", "to_yaml"]

Files = Mapping[str, str]
"""The content, never empty, of each file by its path in the rendered folder."""


def to_yaml(data: Any) -> str:
    """Return *data* as YAML that people read: keys in their order, long texts as blocks."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10**9, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
