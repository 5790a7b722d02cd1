"""CenterFace as published -> CenterFace for pictures of any size.

usage: centerface_dynamic.py centerface.onnx out.onnx

The published file declares a batch of ten pictures of 32x32, although the network is fully
convolutional, and lists each weight as an input too, which keeps ONNX Runtime from folding it.
The weights themselves are not touched.
"""

import sys

import onnx
from onnx_graph import write

STRIDE = 4


def set_shape(value, shape):
    """Replaces a tensor's declared shape; a text stands for any length."""
    dims = value.type.tensor_type.shape.dim
    if len(dims) != len(shape):
        sys.exit(f"{value.name}: {len(dims)} axes where {len(shape)} are expected")
    for dim, length in zip(dims, shape):
        if isinstance(length, str):
            dim.dim_param = length
        else:
            dim.dim_value = length


def main(source, target):
    model = onnx.load(source)
    graph = model.graph

    used = {name for node in graph.node for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    names = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in names]
    if len(inputs) != 1 or len(graph.output) != 4:
        sys.exit("not CenterFace: one input and four outputs are expected")
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(weights)
    graph.input.extend(inputs)

    set_shape(graph.input[0], ["N", 3, "H", "W"])
    for output in graph.output:
        planes = output.type.tensor_type.shape.dim[1].dim_value
        set_shape(output, ["N", planes, f"H/{STRIDE}", f"W/{STRIDE}"])
    write(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
