#!/usr/bin/env python3
"""How small a bystander a net of 192 pixels still shows (docs/decisions/0010), in plain Python.

usage: glance.py [--home CACHE_FOLDER]

Heads of ten people are pasted beside ten others into a picture of a room; the best score on the bystander is
printed for each size. Then every picture of the cache is looked at for what scores too little for a face and lies
beside the faces found.
"""

import argparse
import os
from pathlib import Path
from types import SimpleNamespace

import accuracy
import numpy
from PIL import Image

PEOPLE = (
    "obama.jpg biden.jpg single_face.jpg feat_f1.jpg feat_f13.jpg astronaut.png franck_01829.jpg cage.jpg "
    "audrey.jpg connery.jpg"
).split()
ROOM = 1280, 960
PLACES = [(20, 20), (1050, 30), (30, 750), (1050, 740), (40, 420), (1050, 400)]
OPTIONS = SimpleNamespace(as_shiren=True, warp="context", resize="pil", fit="centre", centres="half", min_face_px=40)


def head(net, picture):
    """The largest face's surroundings, and its box in them."""
    box = accuracy.detect(net, picture, OPTIONS)[0][0]
    half = max(box[2] - box[0], box[3] - box[1]) * 0.8
    middle = accuracy.middle(box)
    left, top = numpy.maximum(middle - half, 0).astype(int)
    right, bottom = numpy.minimum(middle + half, picture.shape[1::-1]).astype(int)
    return picture[top:bottom, left:right], box - [left, top, left, top]


def paste(canvas, piece, width, at=None):
    """Draws the head with its face so wide, in the middle without `at`; gives the face's box."""
    pixels, box = piece
    scale = width / (box[2] - box[0])
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    x, y = at or ((ROOM[0] - size[0]) // 2, max((ROOM[1] - size[1]) // 2, 0))
    drawn = numpy.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    drawn = drawn[: ROOM[1] - y, : ROOM[0] - x]
    canvas[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return box * scale + [x, y, x, y]


def glance(net, picture, scores):
    long = max(picture.shape[:2])
    size = accuracy.on_net(picture, min(accuracy.GLANCE_PX, accuracy.step_up(long)), OPTIONS)
    return accuracy.look(net, picture, *size, OPTIONS, scores)


def bystanders(net, pictures):
    room = numpy.asarray(Image.fromarray(accuracy.read(pictures / "coffee.png")).resize(ROOM))
    heads = [head(net, accuracy.read(pictures / name)) for name in PEOPLE]
    for subject_px in (240, 320, 400):
        for share in (0.25, 0.3, 0.35, 0.41):
            best = []
            for index in range(len(heads)):
                for turn, step in enumerate((1, 3, 6)):
                    picture = room.copy()
                    paste(picture, heads[index], subject_px)
                    other = heads[(index + step) % len(heads)]
                    place = PLACES[(index * 3 + turn) % len(PLACES)]
                    box = paste(picture, other, subject_px * share, place)
                    seen = glance(net, picture, (0.02, 2))
                    best.append(max((face[2] for face in seen if accuracy.iou(face[0], box) > 0.2), default=0))
            below = sum(score < accuracy.DOUBT for score in best)
            net_px = subject_px * share * accuracy.GLANCE_PX / ROOM[0]
            print(
                f"{net_px:4.1f} net px: lowest {min(best):.2f}, median {numpy.median(best):.2f}, "
                f"below {accuracy.DOUBT}: {below} of {len(best)}"
            )


def doubts(net, pictures):
    seen = []
    for file in sorted(pictures.iterdir()):
        picture = accuracy.read(file)
        faces = glance(net, picture, (accuracy.THRESHOLD, 2))
        if not faces:
            continue
        unsure = glance(net, picture, (accuracy.DOUBT, accuracy.THRESHOLD))
        beside = [
            face for face in unsure
            if not any(accuracy.inside(accuracy.middle(face[0]), other[0]) for other in faces)
        ]  # fmt: skip
        seen.append((bool(beside), len(faces)))
    of_several = sum(doubt and faces > 1 for doubt, faces in seen)
    print(f"doubts in {sum(doubt for doubt, _ in seen)} of {len(seen)} pictures with a face, {of_several} of them with several")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    home = os.environ.get("SHIREN_HOME") or accuracy.REPOSITORY / ".shiren"
    parser.add_argument("--home", type=Path, default=Path(home))
    home = parser.parse_args().home
    manifest = accuracy.REPOSITORY / "models" / "manifest.toml"
    manifest = accuracy.tomllib.loads(manifest.read_text(encoding="utf-8"))
    net = accuracy.Network("centerface", manifest["model"]["centerface"], home)
    bystanders(net, home / "pictures")
    doubts(net, home / "pictures")


if __name__ == "__main__":
    main()
