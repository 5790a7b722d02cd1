"""dlib's face recognition ResNet (dlib_face_recognition_resnet_model_v1.dat) -> ONNX.

usage: dlib_resnet29.py model.dat out.onnx

The file is dlib's serialisation of a C++ type: the architecture is in the type, the file holds
little but parameters, from the input to the output. Two encodings matter:

- an integer is a control byte (low four bits: how many bytes follow; high bit: negative) and its
  bytes, lowest first;
- a tensor is the integer 2 (the encoding's version), four integers (samples, planes, rows,
  columns) and the floats, little-endian.

A layer's parameters are one tensor of shape (length, 1, 1, 1), behind the layer's name: for `con_4`
the filters [out, in, rows, columns] and the biases; for `affine_` (batch normalisation with its
statistics folded in) the factors and the offsets; for `fc_2` a matrix [in, out]. So the file is read
by walking the known architecture and asking for each layer's name and exact length in turn.
"""

import sys

import numpy
from onnx_graph import Graph, write

# dlib's input layer: what it takes from red, green and blue, before the factor 1/256.
MEAN = [122.782, 117.001, 104.298]
# (planes, blocks after the first); the first block of each group but the first halves the size.
GROUPS = [(32, 3), (64, 3), (128, 2), (256, 2), (256, 0)]
EMBEDDING = 128


def read_integer(data, at):
    """The integer at `at`, and the place behind it."""
    length = data[at] & 0x0F
    if data[at] & 0xF0 or not 1 <= length <= 8:
        raise ValueError("no integer")
    return int.from_bytes(data[at + 1 : at + 1 + length], "little"), at + 1 + length


class Parameters:
    """Reads the layers' parameters one after the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def next(self, layer, shape):
        """The parameters of the next layer of this name; they must have this shape."""
        # A text is its length as an integer, then its bytes; `layer` is short: one byte of length.
        tag = bytes([1, len(layer)]) + layer.encode()
        place = self.data.find(tag, self.at)
        if place < 0:
            sys.exit(f"no further layer {layer} behind byte {self.at}: not the expected file")
        # `fc_2` writes two settings of its own between name and tensor.
        start = place + len(tag)
        for begin in range(start, start + 16):
            found = self.tensor(begin, shape)
            if found is not None:
                return found
        sys.exit(f"{layer} at byte {place} does not have the shape {shape}: not the expected file")

    def tensor(self, at, shape):
        """The tensor of this shape at `at`, or None."""
        try:
            version, at = read_integer(self.data, at)
            dims = []
            for _ in range(4):
                length, at = read_integer(self.data, at)
                dims.append(length)
        except (IndexError, ValueError):
            return None
        if version != 2 or dims != list(shape) + [1] * (4 - len(shape)):
            return None
        self.at = at + 4 * int(numpy.prod(dims))
        return numpy.frombuffer(self.data[at : self.at], "<f4").reshape(shape)


class Network(Graph):
    """Builds the layers as dlib computes them."""

    def __init__(self, parameters):
        super().__init__()
        self.parameters = parameters

    def convolution(self, value, planes_in, planes, size, stride):
        """A convolution with its affine layer folded in. dlib pads only where the stride is 1."""
        length = planes * planes_in * size * size
        raw = self.parameters.next("con_4", [length + planes])
        affine = self.parameters.next("affine_", [2 * planes])
        factor, offset = affine[:planes], affine[planes:]
        filters = raw[:length].reshape(planes, planes_in, size, size)
        filters = filters * factor[:, None, None, None]
        biases = raw[length:] * factor + offset
        pad = size // 2 if stride == 1 else 0
        return self.node(
            "Conv",
            [value, self.weight(filters), self.weight(biases)],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def block(self, value, planes_in, planes, stride):
        """The residual branch: two convolutions of 3x3."""
        value = self.node("Relu", [self.convolution(value, planes_in, planes, 3, stride)])
        return self.convolution(value, planes, planes, 3, 1)

    def residual(self, value, planes):
        """value + branch(value)."""
        return self.node("Relu", [self.node("Add", [self.block(value, planes, planes, 1), value])])

    def residual_down(self, value, planes_in, planes, side):
        """The same at half the size; gives the value and the new side.

        dlib adds tensors of unlike shapes as if the smaller one went on with zeros.
        """
        branch = self.block(value, planes_in, planes, 2)
        shortcut = self.node("AveragePool", [value], kernel_shape=[2, 2], strides=[2, 2])
        branch_side, shortcut_side = (side - 3) // 2 + 1, (side - 2) // 2 + 1
        side = max(branch_side, shortcut_side)
        branch = self.zeros_after(branch, 0, side - branch_side)
        shortcut = self.zeros_after(shortcut, planes - planes_in, side - shortcut_side)
        return self.node("Relu", [self.node("Add", [branch, shortcut])]), side

    def zeros_after(self, value, planes, pixels):
        """Zeros behind the last plane, below the last row and right of the last column."""
        if planes == 0 and pixels == 0:
            return value
        pads = numpy.array([0, 0, 0, 0, 0, planes, pixels, pixels], numpy.int64)
        return self.node("Pad", [value, self.weight(pads), self.weight(numpy.float32(0))])


def main(source, target):
    with open(source, "rb") as file:
        network = Network(Parameters(file.read()))
    mean = numpy.array(MEAN, numpy.float32).reshape(1, 3, 1, 1)
    value = network.node("Sub", ["input", network.weight(mean)])
    value = network.node("Mul", [value, network.weight(numpy.float32(1 / 256))])

    planes, side = GROUPS[0][0], 35
    value = network.node("Relu", [network.convolution(value, 3, planes, 7, 2)])
    value = network.node("MaxPool", [value], kernel_shape=[3, 3], strides=[2, 2])
    for index, (wanted, blocks) in enumerate(GROUPS):
        if index > 0:
            value, side = network.residual_down(value, planes, wanted, side)
            planes = wanted
        for _ in range(blocks):
            value = network.residual(value, planes)

    value = network.node("Flatten", [network.node("GlobalAveragePool", [value])])
    matrix = network.weight(network.parameters.next("fc_2", [planes, EMBEDDING]))
    network.node("MatMul", [value, matrix], output="output")
    model = network.model(
        "dlib-resnet29", {"input": ["N", 3, 150, 150]}, {"output": ["N", EMBEDDING]}
    )
    write(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
