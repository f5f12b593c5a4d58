"""YAML files that a user writes, read strictly."""

from __future__ import annotations

from typing import Any

import yaml

from codesign.errors import UserError


def read_yaml(name: str, text: str) -> Any:
    """What a YAML text holds; UserError says what is wrong with it, `name` in front."""
    try:
        return yaml.load(text, _Loader)
    except UserError as e:
        raise UserError(f"{name}: {e}") from None
    except yaml.YAMLError as e:
        raise UserError(f"{name} is not a YAML file: {e}") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        twice = next((k for k in keys if keys.count(k) > 1), None)
        if twice is not None:
            raise UserError(f"'{twice}' stands there twice")
        return super().construct_mapping(node, deep)
