"""Read runs: scalars as columns, and each other value when a program looks at it. Users start with `tblog.read`."""

from tblog.reading._file_log import Damage
from tblog.reading._items import Item, Items, UnreadableError
from tblog.reading.audio import Audio
from tblog.reading.embeddings import Embedding
from tblog.reading.graphs import Graph, Node
from tblog.reading.histograms import Histogram
from tblog.reading.hparams import HParams, Session
from tblog.reading.images import Image
from tblog.reading.layouts import Category, Chart, Layout, Margin
from tblog.reading.meshes import Mesh
from tblog.reading.runs import Run, Runs, read
from tblog.reading.scalars import Scalars, Series, Thinned
from tblog.reading.tensors import PRCurve, Tensor, Text

__all__ = [
    "Audio",
    "Category",
    "Chart",
    "Damage",
    "Embedding",
    "Graph",
    "HParams",
    "Histogram",
    "Image",
    "Item",
    "Items",
    "Layout",
    "Margin",
    "Mesh",
    "Node",
    "PRCurve",
    "Run",
    "Runs",
    "Scalars",
    "Series",
    "Session",
    "Tensor",
    "Text",
    "Thinned",
    "UnreadableError",
    "read",
]
