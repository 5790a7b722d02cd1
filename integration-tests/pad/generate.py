#!/usr/bin/env python3
"""Bona fide pictures, benign shifts of them and simulated presentation attacks, out of the registry pictures.

usage: generate.py OUT --split fit|judge [--seed N] [--home FOLDER]

Writes JPEGs and OUT/samples.csv (`path,label,species`; label bona_fide or attack; species `clean`, a benign shift, or
an attack species) for `shiren bench pad`. splits.toml holds who and what each split draws from. Everything is
simulated: no file was ever shown on a screen or printed. Needs ../reference/requirements.txt.
"""

import argparse
import csv
import os
import sys
from pathlib import Path

import cv2
import numpy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

import species as of
from accuracy import REPOSITORY, Network, detect, read, tomllib

# What stands behind a hand-held screen or print: pictures without a face.
GROUNDS = ["coffee.png", "rocket.jpg", "cat.png"]
# Most that a source is enlarged, and its largest side, px.
MAX_ENLARGED = 1.6


def draw(ranges, split, rng):
    """One value of each parameter."""
    drawn = {}
    for name, intervals in ranges.items():
        of_split = intervals[split]
        lengths = numpy.array([high - low for low, high in of_split])
        low, high = of_split[rng.choice(len(of_split), p=lengths / lengths.sum())]
        drawn[name] = rng.uniform(low, high)
    return drawn


def sources(home, split, splits):
    """(name, picture, box) of the split's people."""
    pictures = tomllib.loads((HERE.parent / "pictures.toml").read_text(encoding="utf-8"))["picture"]
    manifest = tomllib.loads((REPOSITORY / "models" / "manifest.toml").read_text(encoding="utf-8"))
    net = Network("centerface", manifest["model"]["centerface"], home)
    options = argparse.Namespace(min_face_px=60, as_shiren=False, fit="centre", resize="area")
    for identity in splits["identities"][split]:
        own = [p["name"] for p in pictures if p["identity"] == identity and p["kind"] == "portrait"]
        step = max(len(own) / splits["renditions"]["per_identity"], 1)
        for name in [own[int(i * step)] for i in range(min(len(own), splits["renditions"]["per_identity"]))]:
            picture = read(home / "pictures" / name)
            yield name, picture, detect(net, picture, options)[0][0]


class Scene:
    """A person before a camera: the frame at FINE samples a pixel, and where the face is in it."""

    def __init__(self, picture, box, camera, rng):
        x1, y1, x2, y2 = box
        face = max(x2 - x1, y2 - y1)
        half = face * rng.uniform(*camera["frame"]) / 2
        middle = numpy.array([(x1 + x2) / 2, (y1 + y2) / 2]) + rng.uniform(-0.15, 0.15, 2) * face
        height, width = picture.shape[:2]
        left, top = (max(int(m - half), 0) for m in middle)
        right, bottom = min(int(middle[0] + half), width), min(int(middle[1] + half), height)
        self.face_px = min(rng.uniform(*camera["face_px"]), (x2 - x1) * MAX_ENLARGED)
        scale = self.face_px / (x2 - x1)
        self.width, self.height = (int((b - a) * scale) // 2 * 2 for a, b in ((left, right), (top, bottom)))
        part = picture[top:bottom, left:right].astype(numpy.float32) / 255
        self.fine = of.resized(part, self.width * of.FINE, self.height * of.FINE)
        corners = (numpy.array([[x1, y1], [x2, y2]]) - [left, top]) * scale
        self.middle = corners.mean(axis=0) * of.FINE
        self.box = numpy.clip(corners.round().astype(int), 0, [self.width, self.height]).reshape(4)


def attack(scene, name, draws, ground, rng):
    """What the camera is shown instead of the person."""
    if name == "moire_replay":
        return of.stripes(scene.fine, draws)
    if name == "halftone_print":
        return of.halftone(scene.fine, draws, rng)
    if name in ("soft_replay", "bezel_replay"):
        shown, edge = of.screen(scene.fine, draws, rng, scene.face_px), rng.uniform(0.0, 0.12)
    else:
        shown, edge = of.paper(scene.fine, draws, rng, scene.face_px), rng.uniform(0.8, 0.95)
    if "window" not in draws:
        return shown
    draws = {**draws, "tall": rng.uniform(1.0, 1.5)}
    behind = of.resized(ground, scene.fine.shape[1], scene.fine.shape[0])
    return of.on_ground(shown, of.blurred(behind, rng.uniform(2, 12)), scene.middle, draws, scene.face_px, edge)


def take(scene, shown, camera, rng):
    """The camera's picture, its tones drawn alike for all species."""
    own = of.tones(of.resized(scene.fine, scene.width, scene.height), scene.box)
    wanted = [value * rng.uniform(*camera[name]) for value, name in zip(own, ("brightness", "contrast", "saturation"))]
    lens = {"blur_px": rng.uniform(*camera["blur_px"]), "noise": rng.uniform(*camera["noise"])}
    return of.with_tones(of.camera(shown, scene.width, scene.height, lens, rng), scene.box, wanted)


def write(path, picture, quality):
    bytes_ = numpy.round(numpy.clip(picture, 0, 1) * 255).astype(numpy.uint8)[:, :, ::-1]
    if not cv2.imwrite(str(path), bytes_, [cv2.IMWRITE_JPEG_QUALITY, int(quality)]):
        sys.exit(f"generate: {path} cannot be written")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=["fit", "judge"], required=True)
    parser.add_argument("--seed", type=int, default=1)
    home = os.environ.get("SHIREN_HOME") or REPOSITORY / ".shiren"
    parser.add_argument("--home", type=Path, default=Path(home))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    splits = tomllib.loads((HERE / "splits.toml").read_text(encoding="utf-8"))
    camera, counts = splits["camera"], splits["renditions"]
    grounds = [read(options.home / "pictures" / name).astype(numpy.float32) / 255 for name in GROUNDS]
    rng = numpy.random.default_rng([options.seed, options.split == "judge"])
    options.out.mkdir(parents=True, exist_ok=True)
    plan = [("bona_fide", "clean", {}, counts["bona_fide"])]
    plan += [("bona_fide", name, ranges, counts["shift"]) for name, ranges in splits["shift"].items()]
    plan += [("attack", name, ranges, counts["attack"]) for name, ranges in splits["attack"].items()]
    rows = []
    for name, picture, box in sources(options.home, options.split, splits):
        for label, kind, ranges, count in plan:
            for i in range(count):
                scene = Scene(picture, box, camera, rng)
                draws = draw(ranges, options.split, rng)
                shown, quality = scene.fine, rng.uniform(*camera["jpeg"])
                if label == "attack":
                    shown = attack(scene, kind, draws, grounds[rng.integers(len(grounds))], rng)
                taken = take(scene, shown, camera, rng)
                if kind in splits["shift"]:
                    taken = of.shifted(taken, kind, draws, scene.face_px, rng)
                file = f"{Path(name).stem}-{kind}-{i}.jpg"
                write(options.out / file, taken, draws.get("jpeg", quality))
                rows.append([file, label, kind])
    with open(options.out / "samples.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["path", "label", "species"], *rows])
    print(f"{len(rows)} pictures in {options.out}")


if __name__ == "__main__":
    main()
