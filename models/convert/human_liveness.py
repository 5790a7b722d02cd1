"""The liveness net of Human (liveness.json and liveness.bin) -> ONNX: printed or shown (0) or live (1): a colour square of 32 px in, planes last.

usage: human_liveness.py liveness.json liveness.bin out.onnx
"""

import sys

from onnx_graph import write
from tfjs_graph import Reader


def main(description, weights, target):
    with open(description, encoding="utf-8") as text, open(weights, "rb") as data:
        reader = Reader(text.read(), data.read())
    write(reader.convert("liveness-32", [32, 32, 3], 2, last_plane=True), target)


if __name__ == "__main__":
    main(*sys.argv[1:4])
