"""Reads TensorFlow.js graph models (a description in JSON and one file of weights) for the conversions.

Activations are [batch, row, column, plane] there and [batch, plane, row, column] in the graphs that
are written here. Only the operators of the two files that are converted are read; anything else is
refused.
"""

import base64
import json
import math
import sys

import numpy
from onnx_graph import Graph

KINDS = {"float32": "<f4", "int32": "<i4"}


def texts(attribute):
    """Texts of an attribute; they stand in base64."""
    found = attribute["list"]["s"] if "list" in attribute else [attribute["s"]]
    return [base64.b64decode(text).decode() for text in found]


def weights(groups, data):
    """The weights by name; they lie one behind the other."""
    found, at = {}, 0
    for weight in (weight for group in groups for weight in group["weights"]):
        if "quantization" in weight:
            sys.exit(f"{weight['name']}: weights of fewer bits are not expected")
        kind = numpy.dtype(KINDS[weight["dtype"]])
        count = math.prod(weight["shape"])
        found[weight["name"]] = numpy.frombuffer(data, kind, count, at).reshape(weight["shape"])
        at += count * kind.itemsize
    if at != len(data):
        sys.exit(f"the weights have {len(data)} bytes, the description says {at}")
    return found


class Reader:
    """A graph model, and the ONNX graph that is written from it."""

    def __init__(self, description, data):
        model = json.loads(description)
        self.weights = weights(model["weightsManifest"], data)
        self.nodes = model["modelTopology"]["node"]
        self.graph = Graph()
        # Axes of an activation tell how a vector of planes is added to it.
        self.names, self.axes = {}, {}

    def operand(self, name):
        """An activation's name, or that of a constant which fits the planes of a 4-axis one."""
        if name in self.names:
            return self.names[name]
        return self.graph.weight(self.weights[name])

    def spatial(self, node):
        """Strides and padding of a window that slides over rows and columns."""
        attributes = node["attr"]
        padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[texts(attributes["padding"])[0]]
        _, *strides, _ = (int(step) for step in attributes["strides"]["list"]["i"])
        dilations = attributes.get("dilations", {"list": {"i": ["1"]}})["list"]["i"]
        if any(int(step) != 1 for step in dilations):
            sys.exit("a dilated window: not the expected file")
        return {"strides": strides, "auto_pad": padding}

    def activate(self, node, made):
        """What is fused behind the bias."""
        for operator in texts(node["attr"]["fused_ops"])[1:]:
            if operator != "Relu":
                sys.exit(f"fused {operator}: not the expected file")
            made = self.graph.node("Relu", [made])
        return made

    def convolution(self, node):
        value, kernel, *biases = node["input"]
        kernel = self.weights[kernel]
        depthwise = node["op"] == "DepthwiseConv2dNative"
        # [row, column, in, out] and, depthwise, [row, column, plane, 1] -> [out, in, row, column]
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        made = self.graph.node(
            "Conv",
            [self.names[value], self.graph.weight(kernel), *map(self.operand, biases)],
            kernel_shape=list(kernel.shape[2:]),
            group=kernel.shape[0] if depthwise else 1,
            **self.spatial(node),
        )
        return made if depthwise else self.activate(node, made)

    def largest(self, node):
        _, *size, _ = (int(side) for side in node["attr"]["ksize"]["list"]["i"])
        value = self.names[node["input"][0]]
        return self.graph.node("MaxPool", [value], kernel_shape=size, **self.spatial(node))

    def elementwise(self, node, operator):
        left, right = node["input"]
        if right in self.names:
            return self.graph.node(operator, [self.names[left], self.names[right]])
        vector = self.weights[right].reshape(-1, *[1] * (self.axes[left] - 2))
        return self.graph.node(operator, [self.names[left], self.graph.weight(vector)])

    def product(self, node):
        value, matrix, bias = node["input"]
        made = self.graph.node(
            "Gemm", [self.names[value], self.operand(matrix), self.operand(bias)]
        )
        return self.activate(node, made)

    def flatten(self, node):
        # The numbers behind it are in the order row, column, plane.
        value = self.graph.node("Transpose", [self.names[node["input"][0]]], perm=[0, 2, 3, 1])
        return self.graph.node("Flatten", [value])

    def step(self, node):
        """One node; gives its output's name and the number of its axes."""
        operator, axes = node["op"], self.axes.get(node.get("input", [""])[0])
        if operator in ("_FusedConv2D", "DepthwiseConv2dNative"):
            return self.convolution(node), axes
        if operator == "MaxPool":
            return self.largest(node), axes
        if operator in ("Add", "AddV2", "Mul"):
            return self.elementwise(node, operator.removesuffix("V2")), axes
        if operator == "_FusedMatMul":
            return self.product(node), axes
        if operator == "Reshape":
            return self.flatten(node), 2
        value = self.names[node["input"][0]]
        if operator == "Relu":
            return self.graph.node("Relu", [value]), axes
        if operator == "Mean":
            return self.graph.node("ReduceMean", [value], axes=[2, 3], keepdims=0), 2
        if operator == "Softmax":
            return self.graph.node("Softmax", [value], axis=1), axes
        return sys.exit(f"operator {operator}: not the expected file")

    def convert(self, name, shape, classes, last_plane=False):
        """The model: one picture in, one probability for each class out.

        With `last_plane` the input is [batch, row, column, plane], as in the source.
        """
        for node in self.nodes:
            if node["op"] == "Const":
                continue
            if node["op"] == "Placeholder":
                turned = ["input"]
                made = self.graph.node("Transpose", turned, perm=[0, 3, 1, 2]) if last_plane else "input"
                self.names[node["name"]], self.axes[node["name"]] = made, 4
            elif node["op"] == "Identity":
                value = self.names[node["input"][0]]
                self.graph.node("Identity", [value], output="probabilities")
            else:
                self.names[node["name"]], self.axes[node["name"]] = self.step(node)
        return self.graph.model(name, {"input": ["N", *shape]}, {"probabilities": ["N", classes]})
