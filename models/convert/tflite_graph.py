"""Reads TFLite files for the conversions.

A TFLite file is a FlatBuffer: a list of tensors (weights point into buffers) and a list of operators
in the order of execution. Activations are [batch, row, column, plane] there and [batch, plane, row,
column] in the graphs that are written here.
"""

import sys

import numpy
import tflite
from onnx_graph import Graph

OPERATORS = {
    code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)
}


def same_padding(length, kernel, stride):
    """TensorFlow's `SAME` on one axis: pixels before and after; the odd one comes after."""
    steps = -(-length // stride)
    total = max((steps - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class Reader:
    """A TFLite file, and the graph that is written from it."""

    def __init__(self, data):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.source = self.model.Subgraphs(0)
        self.graph = Graph()
        self.names = {int(self.source.Inputs(0)): "input"}

    def operators(self):
        """Name and table of every operator, in the order of execution."""
        for index in range(self.source.OperatorsLength()):
            operator = self.source.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            yield OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())], operator

    def shape(self, tensor):
        """Lengths of the tensor's axes."""
        return [int(length) for length in self.source.Tensors(tensor).ShapeAsNumpy()]

    def constant(self, tensor, kind=tflite.TensorType.FLOAT32, bytes_of="<f4"):
        """A weight's numbers."""
        entry = self.source.Tensors(tensor)
        if entry.Type() != kind:
            sys.exit(f"{entry.Name().decode()}: its numbers are not of the expected type")
        data = self.model.Buffers(entry.Buffer()).DataAsNumpy()
        return numpy.frombuffer(data.tobytes(), bytes_of).reshape(self.shape(tensor))

    def options(self, operator, kind):
        """The operator's options; one with an activation of its own is refused."""
        table = operator.BuiltinOptions()
        options = kind()
        options.Init(table.Bytes, table.Pos)
        if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
            sys.exit("an operator has an activation of its own: not the expected file")
        return options

    def pads(self, options, tensor, size, strides):
        """Pixels around an activation: top, left, bottom, right."""
        if options.Padding() != tflite.Padding.SAME:
            return [0, 0, 0, 0]
        _, height, width, _ = self.shape(tensor)
        top, bottom = same_padding(height, size[0], strides[0])
        left, right = same_padding(width, size[1], strides[1])
        return [top, left, bottom, right]

    def convolution(self, operator, depthwise):
        """Writes a convolution; gives its output's name."""
        value, filters, biases = (int(i) for i in operator.InputsAsNumpy())
        options = self.options(
            operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        )
        if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
            sys.exit("a dilated convolution: not the expected file")
        kernel = self.constant(filters)
        planes = self.shape(value)[3]
        size = [int(kernel.shape[1]), int(kernel.shape[2])]
        strides = [options.StrideH(), options.StrideW()]
        # [out, row, column, in] and, depthwise, [1, row, column, out] -> [out, in, row, column]
        kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
        return self.graph.node(
            "Conv",
            [
                self.names[value],
                self.graph.weight(kernel),
                self.graph.weight(self.constant(biases)),
            ],
            kernel_shape=size,
            strides=strides,
            pads=self.pads(options, value, size, strides),
            group=planes if depthwise else 1,
        )
