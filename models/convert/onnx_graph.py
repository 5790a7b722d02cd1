"""A small builder of ONNX graphs, and the one way in which the conversions write a file.

The same weights must give the same bytes on every machine, since the manifest pins the file's
sha256: names are numbered in the order of use, the metadata is fixed, no time is written.
"""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8


class Graph:
    """Collects nodes and weights in the order in which they are added."""

    def __init__(self):
        self.nodes = []
        self.weights = []

    def weight(self, array):
        """Adds a constant; gives its name."""
        name = f"weight_{len(self.weights)}"
        array = numpy.ascontiguousarray(array)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator, inputs, output=None, **attributes):
        """Adds a node with one output; gives the output's name."""
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, name, inputs, outputs):
        """The finished model; `inputs` and `outputs` map names to shapes (a text = any length)."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
            self.weights,
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="shiren",
        )


def write(model, path):
    """Checks the model, with its shapes, and writes it."""
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))
