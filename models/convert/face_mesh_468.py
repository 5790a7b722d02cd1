"""MediaPipe's face mesh with 468 points (face_landmark.tflite) -> ONNX.

usage: face_mesh_468.py face_landmark.tflite out.onnx

Only what this file uses is read: convolutions, depthwise convolutions, PReLU, additions, largest
values of 2 x 2, and planes of zeros behind a shortcut's. Anything else is refused. The face flag's
logistic function is outside the file and stays so.
"""

import sys

import numpy
import tflite
from onnx_graph import write
from tflite_graph import Reader

SIDE = 192
POINTS = 468


class Converter(Reader):
    """Walks the operators and writes each one's counterpart."""

    def addition(self, operator):
        self.options(operator, tflite.AddOptions)
        return self.graph.node("Add", [self.names[int(i)] for i in operator.InputsAsNumpy()])

    def prelu(self, operator):
        value, slope = (int(i) for i in operator.InputsAsNumpy())
        slope, name = self.constant(slope).reshape(-1, 1, 1), self.names[value]
        # slope x + (1 - slope) max(x, 0): ONNX Runtime 1.32 has no fast PRelu, and so the net takes
        # less than half the time.
        above = self.graph.node("Relu", [name])
        above = self.graph.node("Mul", [above, self.graph.weight(1 - slope)])
        straight = self.graph.node("Mul", [name, self.graph.weight(slope)])
        return self.graph.node("Add", [straight, above])

    def largest(self, operator):
        value = int(operator.Inputs(0))
        options = self.options(operator, tflite.Pool2DOptions)
        size = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        pads = self.pads(options, value, size, strides)
        return self.graph.node(
            "MaxPool", [self.names[value]], kernel_shape=size, strides=strides, pads=pads
        )

    def more_planes(self, operator):
        value, widths = (int(i) for i in operator.InputsAsNumpy())
        widths = self.constant(widths, tflite.TensorType.INT32, "<i4").astype(numpy.int64)
        # [batch, row, column, plane] -> [batch, plane, row, column]; all befores, then all afters
        widths = self.graph.weight(widths[[0, 3, 1, 2]].transpose().reshape(-1))
        zero = self.graph.weight(numpy.zeros((), numpy.float32))
        return self.graph.node("Pad", [self.names[value], widths, zero])

    def convert(self):
        for name, operator in self.operators():
            if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                made = self.convolution(operator, name == "DEPTHWISE_CONV_2D")
            elif name == "ADD":
                made = self.addition(operator)
            elif name == "PRELU":
                made = self.prelu(operator)
            elif name == "MAX_POOL_2D":
                made = self.largest(operator)
            elif name == "PAD":
                made = self.more_planes(operator)
            else:
                sys.exit(f"operator {name}: not the expected file")
            self.names[int(operator.Outputs(0))] = made
        mesh, flag = (int(self.source.Outputs(index)) for index in range(2))
        if self.shape(mesh) != [1, 1, 1, 3 * POINTS] or self.shape(flag) != [1, 1, 1, 1]:
            sys.exit("the outputs are no mesh and no flag: not the expected file")
        self.graph.node("Flatten", [self.names[mesh]], output="mesh")
        self.graph.node("Flatten", [self.names[flag]], output="face_flag")
        return self.graph.model(
            "face-mesh-468",
            {"input": ["N", 3, SIDE, SIDE]},
            {"mesh": ["N", 3 * POINTS], "face_flag": ["N", 1]},
        )


def main(source, target):
    with open(source, "rb") as file:
        write(Converter(file.read()).convert(), target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
