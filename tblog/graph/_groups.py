"""Groups long lists: a scope of a thousand layers is drawn as twenty groups of fifty.

The viewer lays out all children of an open scope at once, and a chain of them in one column. With a thousand,
nothing is readable, and each click takes seconds. Runs on the worker thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_MAX_CHILDREN = 100
_GROUP = 50


def grouped(names: Sequence[str]) -> dict[str, str]:
    """Return the displayed name for each name, with an additional scope if too many share one.

    Children are grouped in execution order, so that the groups of a chain form a chain.
    `Net/7 (Linear)` becomes `Net/0..49/7 (Linear)`.
    """
    children: dict[str, dict[str, None]] = {}
    for name in names:
        scope = ""
        for label in name.split("/"):
            children.setdefault(scope, {})[label] = None
            scope = f"{scope}/{label}"
    groups = {
        scope: _groups(list(labels)) for scope, labels in children.items() if len(labels) > _MAX_CHILDREN
    }
    return {name: _in_groups(name, groups) for name in names}


def _groups(labels: list[str]) -> dict[str, str]:
    """Return the group of each child."""
    size = max(_GROUP, math.isqrt(len(labels)))
    found = {}
    for start in range(0, len(labels), size):
        group = labels[start : start + size]
        first, last = (label.partition(" (")[0] for label in (group[0], group[-1]))
        found.update(dict.fromkeys(group, f"{first}..{last}"))
    return found


def _in_groups(name: str, groups: dict[str, dict[str, str]]) -> str:
    if not groups:
        return name
    shown, scope = [], ""
    for label in name.split("/"):
        if scope in groups:
            shown.append(groups[scope][label])
        shown.append(label)
        scope = f"{scope}/{label}"
    return "/".join(shown)
