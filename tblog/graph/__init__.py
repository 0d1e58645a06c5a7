"""Read the graph of a model for TensorBoard to draw. Readers run on the caller's thread, the encoder on the worker.

`read_graph` reads a PyTorch model. `read_onnx_graph` and `read_openvino_graph` read files. Each
returns a `Graph`: plain data whose `SerializeToString` returns the GraphDef for an event.
Importing this package imports neither torch nor tensorboardX.
"""

from tblog.graph._errors import GraphError
from tblog.graph._graph import Graph
from tblog.graph._node import Node, TensorType
from tblog.graph._onnx import read_onnx_graph
from tblog.graph._openvino import read_openvino_graph
from tblog.graph._read import Source, read_graph

__all__ = [
    "Graph",
    "GraphError",
    "Node",
    "Source",
    "TensorType",
    "read_graph",
    "read_onnx_graph",
    "read_openvino_graph",
]
