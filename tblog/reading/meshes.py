"""Meshes and point clouds: the vertices, colours and faces of one call.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/mesh/plugin_data.proto
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError
from tblog.reading._items import Item, Items, Place, UnreadableError
from tblog.reading.tensors import array_of

_VERTICES, _FACES, _COLORS = 1, 2, 3


class Mesh(Item):
    """A mesh or a point cloud, or a batch of them. `tag` is the tag of the call.

    Example:
        >>> import numpy as np
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_mesh("cloud", np.zeros((1, 5, 3), np.float32), global_step=1)
        >>> (cloud,) = tblog.read("runs").meshes
        >>> cloud.tag, cloud.vertices.shape, cloud.faces
        ('cloud', (1, 5, 3), None)
    """

    @property
    def description(self) -> str:
        """The description of the mesh, in Markdown."""
        return Item(next(iter(self._place.parts.values()))).description

    @property
    def vertices(self) -> NDArray[Any] | None:
        """Positions, float32 (batch, vertices, 3)."""
        return self._part(_VERTICES)

    @property
    def colors(self) -> NDArray[Any] | None:
        """Red, green and blue, (batch, vertices, 3), 0 to 255; None if there are none."""
        return self._part(_COLORS)

    @property
    def faces(self) -> NDArray[Any] | None:
        """The indices of each triangle's vertices, (batch, faces, 3); None if there are none."""
        return self._part(_FACES)

    @property
    def config(self) -> Any:
        """The settings of the scene (for three.js), decoded from JSON; None if there are none."""
        try:
            raw = wire.message(next(iter(self._place.parts.values())).plugin_content(), 5)
            return json.loads(raw) if raw else None
        except (ValueError, RecursionError) as error:  # those of JSON, of UTF-8 and of protobuf
            raise UnreadableError(f"the settings of {self!r} cannot be decoded: {error}") from error

    def _part(self, number: int) -> NDArray[Any] | None:
        if number not in self._place.parts:
            return None
        return Item(self._place.parts[number])._decoded(array_of)  # noqa: SLF001 # its own kin


def meshes(places: Iterable[Place]) -> Items[Mesh]:
    """Join the parts of each mesh: those of one run, name and step, in the order of the file."""
    found: list[tuple[str, dict[int, Place]]] = []
    open_ones: dict[tuple[str, str, int], dict[int, Place]] = {}
    for place in places:
        name, part = _name_and_part(place)
        key = (place.run, name, place.entry.step)
        if key not in open_ones or part in open_ones[key]:
            open_ones[key] = {}
            found.append((name, open_ones[key]))
        open_ones[key][part] = place
    return Items([_joined(name, parts) for name, parts in found], Mesh)


def _joined(name: str, parts: dict[int, Place]) -> Place:
    """Return the place of a mesh: that of its first part, with the mesh's own name as its tag."""
    first = next(iter(parts.values()))
    return first._replace(entry=first.entry._replace(tag=name), parts=parts)


def _name_and_part(place: Place) -> tuple[str, int]:
    name, part = "", 0
    try:
        for field in wire.fields(content := place.plugin_content()):
            if field.key == 2 and field.wire == wire.BYTES:
                name = wire.text(content[field.start : field.end])
            elif field.key == 3 and field.wire == wire.VARINT:
                part = field.number
    except MalformedError:
        return place.entry.tag, 0
    return name or place.entry.tag, part
