"""The emotion net of Human (emotion.json and emotion.bin) -> ONNX: an expression of seven: a grey square of 64 px in.

usage: human_expression.py emotion.json emotion.bin out.onnx
"""

import sys

from onnx_graph import write
from tfjs_graph import Reader


def main(description, weights, target):
    with open(description, encoding="utf-8") as text, open(weights, "rb") as data:
        reader = Reader(text.read(), data.read())
    write(reader.convert("expression-64", [1, 64, 64], 7), target)


if __name__ == "__main__":
    main(*sys.argv[1:4])
