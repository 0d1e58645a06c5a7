"""Finds the place of this process among the ranks of a training.

Lives here: the sources, in order. First comes an initialised process group of torch, then the variables of torchrun, of
SLURM and of Open MPI. Another launcher can set the first two: RANK and WORLD_SIZE.
Must not: import torch. Without an imported `torch.distributed` there is no process group. Runs on callers' threads.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_VARIABLES = (
    ("RANK", "WORLD_SIZE"),  # torchrun, and all launchers that follow torch's "env://"
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
)


class Place(NamedTuple):
    """One process of a training.

    Attributes:
        rank: its number, from 0.
        world_size: how many processes there are.
    """

    rank: int
    world_size: int


ALONE = Place(0, 1)


def find_place() -> Place | None:
    """Return the place of this process; None if nothing gives it."""
    return _of_group() or next(filter(None, (_of_variables(*names) for names in _VARIABLES)), None)


def _of_group() -> Place | None:
    distributed = sys.modules.get("torch.distributed")
    is_initialized = getattr(distributed, "is_initialized", None)  # a build of torch may lack it
    if distributed is None or is_initialized is None or not is_initialized():
        return None
    return Place(distributed.get_rank(), distributed.get_world_size())


def _of_variables(rank_name: str, size_name: str) -> Place | None:
    try:
        place = Place(int(os.environ[rank_name]), int(os.environ[size_name]))
    except (KeyError, ValueError):  # set by another program, or only in part
        return None
    return place if 0 <= place.rank < place.world_size else None
