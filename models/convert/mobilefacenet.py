"""MobileFaceNet with 192 dimensions (MobileFaceNet.tflite) -> ONNX.

usage: mobilefacenet.py MobileFaceNet.tflite out.onnx

A TFLite file is a FlatBuffer: a list of tensors (weights point into buffers) and a list of operators
in the order of execution. Activations are [batch, row, column, plane] there and [batch, plane, row,
column] here. Only what this file uses is read: convolutions, depthwise convolutions, PReLU (written
out as ReLU(x) + a/2 * (x - |x|)), additions, and a last reshape. Anything else is refused.
"""

import sys

import numpy
import tflite
from onnx_graph import Graph, write

SIDE = 112
EMBEDDING = 192
OPERATORS = {
    code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)
}


def same_padding(length, kernel, stride):
    """TensorFlow's `SAME` on one axis: pixels before and after; the odd one comes after."""
    steps = -(-length // stride)
    total = max((steps - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class Converter:
    """Walks the operators and writes each one's counterpart."""

    def __init__(self, data):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.source = self.model.Subgraphs(0)
        self.graph = Graph()
        self.names = {int(self.source.Inputs(0)): "input"}
        # tensor -> the operator that makes it, for the look back from an addition to a PReLU
        self.makers = {}

    def shape(self, tensor):
        return [int(length) for length in self.source.Tensors(tensor).ShapeAsNumpy()]

    def constant(self, tensor):
        """A weight's numbers."""
        entry = self.source.Tensors(tensor)
        if entry.Type() != tflite.TensorType.FLOAT32:
            sys.exit(f"{entry.Name().decode()}: only 32-bit floats are read")
        data = self.model.Buffers(entry.Buffer()).DataAsNumpy()
        return numpy.frombuffer(data.tobytes(), "<f4").reshape(self.shape(tensor))

    def options(self, operator, kind):
        table = operator.BuiltinOptions()
        options = kind()
        options.Init(table.Bytes, table.Pos)
        if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
            sys.exit("an operator has an activation of its own: not the expected file")
        return options

    def convolution(self, operator, depthwise):
        value, filters, biases = (int(i) for i in operator.InputsAsNumpy())
        options = self.options(
            operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        )
        if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
            sys.exit("a dilated convolution: not the expected file")
        kernel = self.constant(filters)
        _, height, width, planes = self.shape(value)
        size = [int(kernel.shape[1]), int(kernel.shape[2])]
        strides = [options.StrideH(), options.StrideW()]
        pads = [0, 0, 0, 0]
        if options.Padding() == tflite.Padding.SAME:
            top, bottom = same_padding(height, size[0], strides[0])
            left, right = same_padding(width, size[1], strides[1])
            pads = [top, left, bottom, right]
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
            pads=pads,
            group=planes if depthwise else 1,
        )

    def addition(self, operator):
        """A PReLU written out, or a plain addition of two activations."""
        self.options(operator, tflite.AddOptions)
        left, right = (int(i) for i in operator.InputsAsNumpy())
        prelu = self.prelu(left, right)
        if prelu is None:
            return self.graph.node("Add", [self.names[left], self.names[right]])
        value, half_slope = prelu
        # x - |x| is 0 or exactly 2x, and doubling is exact: the same numbers in one operator.
        slope = (2 * self.constant(half_slope)).astype(numpy.float32).reshape(-1, 1, 1)
        return self.graph.node("PRelu", [self.names[value], self.graph.weight(slope)])

    def prelu(self, left, right):
        """(x, a/2) when the two are ReLU(x) and a/2 * (x - |x|); None when neither is."""
        relu, product = self.makers.get(left), self.makers.get(right)
        if relu is None or product is None:
            if relu is None and product is None:
                return None
            sys.exit("an addition of unlike parts: not the expected file")
        value = relu[1][0]
        half_slope, difference = product[1]
        minuend, absolute = self.makers[difference][1]
        steps = [relu[0], product[0], self.makers[difference][0], self.makers[absolute][0]]
        same = minuend == value and self.makers[absolute][1] == [value]
        if steps != ["RELU", "MUL", "SUB", "ABS"] or not same:
            sys.exit("an addition that is no PReLU: not the expected file")
        return value, half_slope

    def convert(self):
        for index in range(self.source.OperatorsLength()):
            operator = self.source.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            output = int(operator.Outputs(0))
            if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                self.names[output] = self.convolution(operator, name == "DEPTHWISE_CONV_2D")
            elif name == "ADD":
                self.names[output] = self.addition(operator)
            elif name in ("RELU", "ABS", "SUB", "MUL"):
                self.makers[output] = name, [int(i) for i in operator.InputsAsNumpy()]
            elif name == "RESHAPE":
                if self.shape(output)[1:] != [EMBEDDING]:
                    sys.exit("the reshape gives no embedding: not the expected file")
                value = self.names[int(operator.Inputs(0))]
                self.names[output] = self.graph.node("Flatten", [value], output="embeddings")
            else:
                sys.exit(f"operator {name}: not the expected file")
        if self.names.get(int(self.source.Outputs(0))) != "embeddings":
            sys.exit("the output is not the embedding: not the expected file")
        return self.graph.model(
            "mobilefacenet-192",
            {"input": ["N", 3, SIDE, SIDE]},
            {"embeddings": ["N", EMBEDDING]},
        )


def main(source, target):
    with open(source, "rb") as file:
        write(Converter(file.read()).convert(), target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
