"""What a camera sees of a face, of a screen and of a print: pictures of floats, 0 to 1, rows first.

Everything here is a simulation. Screen and print are drawn at FINE samples a pixel of the file to come, so that their
stripes and dots meet the camera's pixels as they would; every picture, bona fide or not, then goes through the same
camera and the same tones.
"""

import math

import cv2
import numpy

# Samples a pixel of the file, along each side.
FINE = 3
LUMA = numpy.array([0.299, 0.587, 0.114], numpy.float32)


def gauss(rng, shape):
    return rng.standard_normal(shape, dtype=numpy.float32)


def light(picture):
    """sRGB to linear light, near enough."""
    return numpy.power(numpy.clip(picture, 0, 1), numpy.float32(2.2))


def srgb(picture):
    return numpy.power(numpy.clip(picture, 0, 1), numpy.float32(1 / 2.2))


def blurred(picture, sigma):
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.05 else picture


def resized(picture, width, height):
    shrinks = width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def tinted(picture, gains):
    return picture * numpy.asarray(gains, numpy.float32)


def grid(picture, turn_degrees):
    """Positions of the samples from the middle, in pixels of the file, turned."""
    height, width = picture.shape[:2]
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    x, y = (x - width / 2) / FINE, (y - height / 2) / FINE
    c, s = math.cos(math.radians(turn_degrees)), math.sin(math.radians(turn_degrees))
    return x * c - y * s, x * s + y * c


def slope(picture, strength, rng):
    """Uneven light: falls off to one side."""
    height, width = picture.shape[:2]
    y, x = numpy.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(numpy.float32)
    angle = rng.uniform(0, 2 * math.pi)
    return picture * (1 + strength * (x * math.cos(angle) + y * math.sin(angle)))[:, :, None]


def screen(picture, draw, rng, face_px):
    """A screen without visible pixels: lifted black, halo, blue white, a lens, a reflection."""
    shown = light(picture) * (1 - draw["lift"]) + draw["lift"]
    halo = blurred(resized(shown, shown.shape[1] // 8, shown.shape[0] // 8), face_px * FINE / 32)
    shown = shown * (1 - draw["glow"]) + resized(halo, shown.shape[1], shown.shape[0]) * draw["glow"]
    shown = tinted(shown, [rng.uniform(0.93, 1.0), 1.0, rng.uniform(1.0, 1.08)])
    height, width = shown.shape[:2]
    y, x = numpy.mgrid[0:1 : height * 1j, 0:1 : width * 1j].astype(numpy.float32)
    cx, cy, size = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.1, 0.4)
    glare = numpy.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * size * size)) * draw["glare"]
    shown = shown * (1 - glare[:, :, None]) + glare[:, :, None]
    return blurred(srgb(shown), draw["sigma_face"] * face_px * FINE)


def stripes(picture, draw):
    """The screen's red, green and blue stripes and the dark between its rows."""
    u, v = grid(picture, draw["turn"])
    u, v = u / draw["pitch_px"], v / draw["pitch_px"]
    rows = 0.5 + 0.5 * numpy.cos(2 * math.pi * v)
    mask = numpy.stack([0.5 + 0.5 * numpy.cos(2 * math.pi * (u - k / 3)) for k in range(3)], axis=2)
    mask = (1 - draw["depth"]) + draw["depth"] * 2 * mask
    mask = mask * ((1 - draw["depth"] / 2) + draw["depth"] * rows)[:, :, None]
    return srgb(light(picture) * mask)


def paper(picture, draw, rng, face_px):
    """A print: ink that is not black, paper that is not white, grain, uneven light, a curl, a lens."""
    ink = light(picture) * (0.9 - draw["black"]) + draw["black"]
    height, width = ink.shape[:2]
    fine = resized(gauss(rng, (height // 2 + 1, width // 2 + 1)), width, height)
    coarse = resized(gauss(rng, (height // 40 + 2, width // 40 + 2)), width, height)
    ink = ink * (1 + draw["grain"] * (fine + 0.5 * coarse))[:, :, None]
    ink = curled(slope(ink, draw["slope"], rng), draw["curl_face"] * face_px * FINE, rng)
    return blurred(srgb(ink), draw["sigma_face"] * face_px * FINE)


def curled(picture, depth_px, rng):
    height, width = picture.shape[:2]
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    phase, waves = rng.uniform(0, 2 * math.pi), rng.uniform(0.4, 0.9)
    bend = (depth_px * numpy.sin(phase + x / width * waves * 2 * math.pi)).astype(numpy.float32)
    return cv2.remap(picture, x, y + bend, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def halftone(picture, draw, rng):
    """Dots of cyan, magenta, yellow and black, each screen at its own angle."""
    ink = 1 - numpy.clip(picture, 0, 1)
    black = ink.min(axis=2) * 0.8
    planes = [*numpy.moveaxis((ink - black[:, :, None]) / (1 - black[:, :, None] + 1e-3), 2, 0), black]
    printed = numpy.ones_like(picture)
    for plane, angle, stops in zip(planes, (15, 75, 0, 45), (0, 1, 2, None)):
        u, v = grid(picture, angle + draw["turn"])
        k = 2 * math.pi / draw["cell_px"]
        threshold = 0.5 + 0.25 * (numpy.cos(k * u) + numpy.cos(k * v))
        dots = 1 / (1 + numpy.exp(-(plane - threshold) * 12))
        stopped = slice(None) if stops is None else slice(stops, stops + 1)
        printed[:, :, stopped] *= (1 - 0.92 * dots)[:, :, None]
    ink = light(printed) * (0.9 - draw["black"]) + draw["black"]
    return blurred(srgb(slope(ink, draw["slope"], rng)), 0.35 * FINE)


def on_ground(picture, ground, middle, draw, face_px, edge):
    """The picture cut to a window around the face, with a border of the colour `edge`, held before `ground`."""
    height, width = picture.shape[:2]
    face = face_px * FINE
    half = numpy.array([draw["window"], draw["window"] * draw["tall"]]) * face / 2
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    c, s = math.cos(math.radians(draw["turn"])), math.sin(math.radians(draw["turn"]))
    x, y = x - middle[0], y - middle[1]
    u, v = numpy.abs(x * c - y * s), numpy.abs(x * s + y * c)

    def within(extra):
        outside = numpy.maximum(u - half[0] - extra, v - half[1] - extra)
        return numpy.clip(0.5 - outside / FINE, 0, 1)[:, :, None]

    shadow = blurred(within(draw["border"] * face)[:, :, 0], 0.05 * face)[:, :, None]
    ground = ground * (1 - 0.35 * shadow)
    framed = ground * (1 - within(draw["border"] * face)) + numpy.float32(edge) * within(draw["border"] * face)
    return framed * (1 - within(0)) + picture * within(0)


def camera(picture, width, height, draw, rng):
    """A sensor with a Bayer mosaic: lens, sampling, noise, and the mosaic undone."""
    seen = resized(srgb(blurred(light(picture), draw["blur_px"] * FINE)), width // 2 * 2, height // 2 * 2)
    seen = numpy.clip(seen * 255 + gauss(rng, seen.shape) * numpy.float32(draw["noise"]), 0, 255)
    mosaic = numpy.empty(seen.shape[:2], numpy.float32)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = seen[0::2, 0::2, 0], seen[1::2, 1::2, 2]
    mosaic[0::2, 1::2], mosaic[1::2, 0::2] = seen[0::2, 1::2, 1], seen[1::2, 0::2, 1]
    whole = cv2.cvtColor(numpy.round(mosaic).astype(numpy.uint8), cv2.COLOR_BayerRGGB2RGB_EA)
    return whole.astype(numpy.float32) / 255


def tones(picture, box):
    """Brightness, contrast and saturation of the part in `box`."""
    part = picture[box[1] : box[3], box[0] : box[2]]
    grey = part @ LUMA
    return grey.mean(), grey.std(), numpy.abs(part - grey[:, :, None]).mean()


def with_tones(picture, box, wanted):
    """The picture with those tones in `box`: no attack differs from a bona fide picture by them alone."""
    for _ in range(3):
        brightness, contrast, saturation = tones(picture, box)
        grey = (picture @ LUMA)[:, :, None]
        colour = (picture - grey) * wanted[2] / max(saturation, 1e-3)
        picture = (grey - brightness) * wanted[1] / max(contrast, 1e-3) + wanted[0] + colour
        picture = numpy.clip(picture, 0, 1)
    return picture


def shifted(picture, name, draw, face_px, rng):
    """A bona fide picture under a benign shift."""
    grey = (picture @ LUMA)[:, :, None]
    height, width = picture.shape[:2]
    if name == "dull":
        return grey + (picture - grey) * draw["saturation"]
    if name == "dim":
        dim = picture * draw["gain"]
        return dim + gauss(rng, dim.shape) * numpy.float32(2 / 255)
    if name == "low_contrast":
        return (picture - grey.mean()) * draw["contrast"] + 0.5 * grey.mean() + 0.25
    if name == "defocus":
        return blurred(picture, draw["sigma_face"] * face_px)
    if name == "low_resolution":
        scale = draw["face_px"] / face_px
        small = resized(picture, max(int(width * scale), 8), max(int(height * scale), 8))
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if name == "webcam_noise":
        coarse = cv2.resize(gauss(rng, (height // 2, width // 2, 3)), (width, height))
        return picture + (gauss(rng, (height, width, 1)) + coarse) * numpy.float32(draw["noise"] / 255)
    sign = 1 if name == "warm_light" else -1
    return tinted(picture, [1 + sign * draw["tint"] * 0.6, 1.0, 1 - sign * draw["tint"]])
