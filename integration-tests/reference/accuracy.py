#!/usr/bin/env python3
"""A plain Python run of the same weights, written as one would with OpenCV: the yardstick for the
scores of `shiren bench accuracy`.

usage: accuracy.py PAIRS.csv OUT.csv [--profile open|accurate] [--min-face-px 100] [--home FOLDER]

Reads `path_a,path_b,...` (paths relative to the CSV) and writes `path_a,path_b,score`; the score is
empty where no face is found in one of the two. Of several faces the largest is taken.
`--as-shiren` takes Shiren's choices; `--warp`, `--resize`, `--fit` and `--centres` choose between ways to resample that are all in use; the
defaults are the plainest.
"""

import argparse
import csv
import os
import sys
from pathlib import Path

import cv2
import numpy
import onnxruntime
from PIL import Image, ImageOps

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
# CenterFace: pixels on the net that the smallest face wanted gets, what its sides are multiples of,
# its stride, its threshold, the overlap above which the weaker of two faces goes, and that above which
# it has a say in where the stronger one is.
FACE_NET_PX, NET_STEP_PX, STRIDE, THRESHOLD, MAX_IOU, VOTER_IOU = 24, 32, 4, 0.3, 0.3, 0.5
# The first look for the subject: longer side of its net, width from which it shows a face or doubts, pixels, score
# from which it doubts, and width of the faces that matter beside the widest as a share of its own.
GLANCE_PX, GLANCE_FACE_PX, DOUBT, BYSTANDER_SHARE = 192, 12, 0.15, 0.3
# Faces above this length on the net are looked at again: to what length they are shrunk, on a net of what
# side, the picture no shorter and no longer than that, pixels.
LARGE_FACE_PX, LARGE_SHRUNK_PX, LARGE_NET_PX, LARGE_CONTENT_PX = 256, 112, 256, (48, 192)
# The looks at the subject: side of the square view and longer side of the face in it, pixels; overlap from
# which a face is the same.
COARSE, CLOSE, CLOSE_IOU = (128, 40), (160, 59), 0.3
# Side of a face's surroundings in sides of its box, and the most pixels that they are kept at.
CONTEXT, CONTEXT_PX = 2.7, 384
# Where the eyes, the nose and the corners of the mouth lie on a chip, in pixels.
DLIB_150 = [[46.45, 48.59], [103.35, 48.72], [73.48, 77.52], [50.23, 102.26], [97.36, 102.65]]
ARCFACE_112 = [
    [38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
    [41.5493, 92.3655], [70.7299, 92.2041],
]  # fmt: skip
TEMPLATES = {"dlib-resnet29": DLIB_150, "mobilefacenet-192": ARCFACE_112}


def read(path):
    """RGB bytes, upright; transparent parts on white."""
    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in ("RGBA", "LA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(ground, picture)
        return numpy.asarray(picture.convert("RGB"))


def step_up(length):
    return -(-length // NET_STEP_PX) * NET_STEP_PX


class Network:
    """A model of the manifest in ONNX Runtime."""

    def __init__(self, name, model, home):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.name, self.model = name, model
        self.session = onnxruntime.InferenceSession(
            str(home / "models" / model["onnx"]["file"]),
            options,
            providers=["CPUExecutionProvider"],
        )

    def run(self, picture):
        """The outputs for RGB of 0 to 255, rows first, in the manifest's order."""
        contract = self.model["input"]
        fed = (picture.astype(numpy.float32) - contract["mean"]) * contract["scale"]
        fed = fed.astype(numpy.float32).transpose(2, 0, 1)[None]
        return self.session.run(self.model["output"]["names"], {contract["name"]: fed})


def resize(picture, size, how):
    """The picture at (width, height)."""
    if picture.shape[1::-1] == size:
        return picture
    if how == "pil":
        return numpy.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    return cv2.resize(
        picture, size, interpolation={"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[how]
    )


def detect(net, picture, options):
    """Faces as (box [x1,y1,x2,y2], five points, confidence) in the picture, the largest first."""
    long = max(picture.shape[:2])
    net_long = min(step_up(-(-long * FACE_NET_PX // options.min_face_px)), step_up(long))
    if options.as_shiren and net_long > GLANCE_PX:
        glance = on_net(picture, min(GLANCE_PX, step_up(long)), options)
        faces = look(net, picture, *glance, options)
        doubts = look(net, picture, *glance, options, (DOUBT, THRESHOLD))
        doubtful = not all(any(inside(middle(doubt[0]), face[0]) for face in faces) for doubt in doubts)
        widest = max((face[0][2] - face[0][0] for face in faces), default=0)
        smallest = max(widest * BYSTANDER_SHARE, options.min_face_px)
        if widest and smallest >= GLANCE_FACE_PX * long / GLANCE_PX and not doubtful:
            return faces
        net_long = min(step_up(-(-long * FACE_NET_PX // int(smallest))), step_up(long))
    content, frame = on_net(picture, net_long, options)
    faces = look(net, picture, content, frame, options)
    return without_too_large(net, picture, faces, content, options) if options.as_shiren else faces


def on_net(picture, net_long, options):
    """The (width, height) of the picture on a net with that longer side, and of the net."""
    height, width = picture.shape[:2]
    scale = min(net_long / max(width, height), 1.0)
    content = max(round(width * scale), 1), max(round(height * scale), 1)
    frame = step_up(content[0]), step_up(content[1])
    return (frame if options.fit == "stretch" else content), frame


def without_too_large(net, picture, faces, content, options):
    """The faces, those too large for the net as a smaller one sees them."""
    height, width = picture.shape[:2]
    on_net = numpy.array([content[0] / width, content[1] / height])

    def length(face):
        return max((face[0][2:] - face[0][:2]) * on_net)

    largest = max(map(length, faces), default=0)
    if largest <= LARGE_FACE_PX:
        return faces
    long = int(numpy.clip(max(content) * LARGE_SHRUNK_PX / largest, *LARGE_CONTENT_PX))
    again = look(net, picture, shrunk(picture, long), (LARGE_NET_PX, LARGE_NET_PX), options)
    large = [face for face in again if length(face) > LARGE_FACE_PX / 2]
    if not large:
        return faces
    others = [
        face for face in faces
        if length(face) <= LARGE_FACE_PX and all(iou(face[0], big[0]) <= MAX_IOU for big in large)
    ]  # fmt: skip
    return sorted(large + others, key=lambda face: -area(face[0]))


def shrunk(picture, long):
    """The (width, height) of the picture at a longer side of `long`."""
    height, width = picture.shape[:2]
    scale = long / max(width, height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def close_look(net, picture, face, options):
    """The face with its five points as they are seen at one size: a coarse view corrects the box, the points are
    the mean of a closer view and its mirror image."""
    box, points, confidence = face
    seen = [see(net, picture, box, *COARSE, False, options)]
    if seen[0]:
        box = seen[0][0]
    seen = [see(net, picture, box, *CLOSE, mirrored, options) for mirrored in (False, True)]
    seen = [points for found in seen if found for points in found[1:2]]
    return face[0], (numpy.mean(seen, axis=0) if seen else points), confidence


def see(net, picture, box, side, face_px, mirrored, options):
    """Box and points of the face in `box`, seen in the middle of a square view at `face_px`; or nothing."""
    scale = face_px / max(box[2] - box[0], box[3] - box[1])
    border = int(numpy.ceil(4 / scale))
    picture = numpy.pad(picture, ((border,) * 2, (border,) * 2, (0, 0)))
    box = box + border
    shift = side / 2 - scale * (box[:2] + box[2:]) / 2
    length = numpy.array(picture.shape[1::-1])
    start = numpy.ceil(numpy.maximum(shift, 0)).astype(int)
    end = numpy.floor(numpy.minimum(shift + length * scale, side)).astype(int)
    if (end <= start).any():
        return None
    region = [*(start - shift) / scale, *numpy.minimum((end - shift) / scale, length)]
    view = numpy.zeros((side, side, 3), numpy.float32)
    for channel in range(3):
        plane = Image.fromarray(picture[:, :, channel].astype(numpy.float32))
        plane = plane.resize(tuple(end - start), Image.Resampling.BILINEAR, box=region)
        view[start[1] : end[1], start[0] : end[0], channel] = numpy.asarray(plane)
    faces = look(net, view[:, ::-1] if mirrored else view, (side, side), (side, side), options)
    if mirrored:
        faces = [mirror(face, side) for face in faces]
    wanted = (box.reshape(2, 2) * scale + shift).reshape(4)
    same = [face for face in faces if iou(face[0], wanted) >= CLOSE_IOU]
    if not same:
        return None
    best = max(same, key=lambda face: iou(face[0], wanted))
    return ((best[0].reshape(2, 2) - shift) / scale).reshape(4) - border, (best[1] - shift) / scale - border


def mirror(face, side):
    """The face in the mirror image of a view."""
    (x1, y1, x2, y2), points, confidence = face
    points = [side, 0] + points[[1, 0, 2, 4, 3]] * [-1, 1]
    return numpy.array([side - x2, y1, side - x1, y2]), points, confidence


def middles_at_whole(matrix):
    """For OpenCV, which counts from the first pixel's middle, a matrix that counts from the edge."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix


def look(net, picture, content, frame, options, scores=(THRESHOLD, 2)):
    """Faces of the picture at the size `content` on a black net of the size `frame`."""
    height, width = picture.shape[:2]
    left, top = 0, 0
    if options.fit == "centre":
        left, top = (frame[0] - content[0]) // 2, (frame[1] - content[1]) // 2
    fed = numpy.zeros((frame[1], frame[0], 3), numpy.float32)
    fed[top : top + content[1], left : left + content[0]] = resize(
        picture, content, options.resize
    )
    factor = numpy.array([width / content[0], height / content[1]])

    heat, scales, offsets, points = (output[0] for output in net.run(fed))
    faces = []
    for row, column in zip(*numpy.where((heat[0] >= scores[0]) & (heat[0] < scores[1]))):
        h, w = numpy.exp(scales[:, row, column]) * STRIDE
        y = (row + offsets[0, row, column] + 0.5) * STRIDE - h / 2
        x = (column + offsets[1, row, column] + 0.5) * STRIDE - w / 2
        x, y = x - left, y - top
        five = points[:, row, column].reshape(5, 2)[:, ::-1] * [w, h] + [x, y]
        box = numpy.array([[x, y], [x + w, y + h]]) * factor
        faces.append((box.reshape(4), five * factor, float(heat[0, row, column])))
    kept = []
    for face in sorted(faces, key=lambda face: -face[2]):
        if all(iou(face[0], other[0]) <= MAX_IOU for other in kept):
            kept.append(face)
    if options.as_shiren and scores[0] == THRESHOLD:
        kept = [mean(face, faces) for face in kept]
    return sorted(kept, key=lambda face: -area(face[0]))


def mean(face, candidates):
    """The face where its candidates are on average, weighted by confidence and overlap."""
    weights = [max(iou(other[0], face[0]) - VOTER_IOU, 0) * (other[2] - THRESHOLD) for other in candidates]
    box, points = (
        numpy.average([other[part] for other in candidates], axis=0, weights=weights) for part in (0, 1)
    )
    return box, points, face[2]


def middle(box):
    return (box[:2] + box[2:]) / 2


def inside(point, box):
    return (box[:2] <= point).all() and (point <= box[2:]).all()


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def iou(a, b):
    both = area([*numpy.maximum(a[:2], b[:2]), *numpy.minimum(a[2:], b[2:])])
    return both / (area(a) + area(b) - both)


def similarity(source, target):
    """The 2x3 matrix that brings the points of `source` nearest to `target` (Umeyama, 1991)."""
    source, target = numpy.asarray(source, float), numpy.asarray(target, float)
    from_mean, to_mean = source.mean(0), target.mean(0)
    a, b = source - from_mean, target - to_mean
    u, values, v = numpy.linalg.svd(b.T @ a / len(a))
    sign = numpy.array([1.0, numpy.sign(numpy.linalg.det(u) * numpy.linalg.det(v))])
    rotation = u @ numpy.diag(sign) @ v
    scale = (values * sign).sum() / a.var(0).sum()
    shift = to_mean - scale * rotation @ from_mean
    return numpy.hstack([scale * rotation, shift[:, None]])


def chip(net, picture, face, template, side, options):
    """The aligned face, side x side."""
    box, points, _ = face
    if options.warp == "context":
        picture, (box, points, _) = context(picture, face, options)
        if options.as_shiren:
            _, points, _ = close_look(net, picture, (box, points, 0), options)
    matrix = similarity(points, template)
    shrink = numpy.linalg.norm(matrix[:, 0])
    if options.warp == "area" and shrink < 1:
        height, width = picture.shape[:2]
        size = max(round(width * shrink), 1), max(round(height * shrink), 1)
        points = points * [size[0] / width, size[1] / height]
        picture = resize(picture, size, "area")
        matrix = similarity(points, template)
    if options.centres == "half":
        matrix = middles_at_whole(matrix)
    return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)


def context(picture, face, options):
    """The face's surroundings, at most CONTEXT_PX large, and the face in them."""
    box, points, confidence = face
    height, width = picture.shape[:2]
    half = max(box[2] - box[0], box[3] - box[1]) * CONTEXT / 2
    middle = (box[:2] + box[2:]) / 2
    left, top = numpy.floor(numpy.maximum(middle - half, 0)).astype(int)
    right, bottom = numpy.ceil(numpy.minimum(middle + half, [width, height])).astype(int)
    piece = numpy.ascontiguousarray(picture[top:bottom, left:right])
    corners, points = box.reshape(2, 2) - [left, top], points - [left, top]
    shrink = CONTEXT_PX / max(piece.shape[:2])
    if shrink < 1:
        size = round(piece.shape[1] * shrink), round(piece.shape[0] * shrink)
        factor = numpy.array([size[0] / piece.shape[1], size[1] / piece.shape[0]])
        corners, points = corners * factor, points * factor
        piece = resize(piece, size, "pil" if options.resize == "pil" else "area")
    return piece, (corners.reshape(4), points, confidence)


def score(a, b, metric):
    a, b = a.astype(float), b.astype(float)
    if metric == "euclidean":
        return 1 - numpy.linalg.norm(a - b)
    return a @ b / (numpy.linalg.norm(a) * numpy.linalg.norm(b))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--profile", default="open")
    parser.add_argument("--min-face-px", type=int, default=100)
    home = os.environ.get("SHIREN_HOME") or REPOSITORY / ".shiren"
    parser.add_argument("--home", type=Path, default=Path(home))
    parser.add_argument("--warp", choices=["linear", "area", "context"], default="linear",
                        help="straight from the picture; from the picture shrunk to the chip's "
                        "scale; from the face's surroundings at 384 pixels")  # fmt: skip
    parser.add_argument("--resize", choices=["linear", "area", "pil"], default="linear",
                        help="how the picture is shrunk for the detector")  # fmt: skip
    parser.add_argument("--fit", choices=["pad", "centre", "stretch"], default="pad",
                        help="how it is brought to multiples of 32: black at the right and below, "
                        "black all round, or stretched")  # fmt: skip
    parser.add_argument("--as-shiren", action="store_true",
                        help="the choices that Shiren documents: --warp context --resize pil "
                        "--fit centre --centres half, several looks, means of candidates")  # fmt: skip
    parser.add_argument("--centres", choices=["whole", "half"], default="whole",
                        help="where the middle of the first pixel is in the warp: 0 or .5")  # fmt: skip
    options = parser.parse_args()
    if options.as_shiren:
        options.warp, options.resize, options.fit, options.centres = "context", "pil", "centre", "half"
    return options


def main():
    options = arguments()
    manifest = tomllib.loads((REPOSITORY / "models" / "manifest.toml").read_text(encoding="utf-8"))
    roles = manifest["profile"].get(options.profile)
    if roles is None:
        sys.exit(f"accuracy: there is no profile {options.profile}")
    detector, embedder = (
        Network(roles[role], manifest["model"][roles[role]], options.home)
        for role in ("detector", "embedder")
    )
    side = embedder.model["input"]["size"][0]
    metric = embedder.model["output"]["metric"]

    def embed(path):
        picture = read(path)
        faces = detect(detector, picture, options)
        if not faces:
            print(f"no face: {path.name}", file=sys.stderr)
            return None
        aligned = chip(detector, picture, faces[0], TEMPLATES[embedder.name], side, options)
        return embedder.run(aligned)[0][0]

    with open(options.pairs, newline="", encoding="utf-8") as file:
        pairs = [(row["path_a"], row["path_b"]) for row in csv.DictReader(file)]
    folder = options.pairs.resolve().parent
    names = sorted({name for pair in pairs for name in pair})
    templates = {name: embed(folder / name) for name in names}
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path_a", "path_b", "score"])
        for a, b in pairs:
            found = templates[a] is not None and templates[b] is not None
            value = f"{score(templates[a], templates[b], metric):.6f}" if found else ""
            writer.writerow([a, b, value])


if __name__ == "__main__":
    main()
