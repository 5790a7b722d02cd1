"""MobileFaceNet with 192 dimensions (MobileFaceNet.tflite) -> ONNX.

usage: mobilefacenet.py MobileFaceNet.tflite out.onnx

Only what this file uses is read: convolutions, depthwise convolutions, PReLU (written out as
ReLU(x) + a/2 * (x - |x|)), additions, and a last reshape. Anything else is refused.
"""

import sys

import numpy
import tflite
from onnx_graph import write
from tflite_graph import Reader

SIDE = 112
EMBEDDING = 192


class Converter(Reader):
    """Walks the operators and writes each one's counterpart."""

    def __init__(self, data):
        super().__init__(data)
        # tensor -> the operator that makes it, for the look back from an addition to a PReLU
        self.makers = {}

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
        for name, operator in self.operators():
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
