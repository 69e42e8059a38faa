"""A small drawn world: pictures of simple shapes about which everything is known.

One shape of each scene is marked, by an outline. Six questions are asked of a scene: how many shapes there are, and of
the marked one where it is, which way it points, how large it is, its colour and its shape. The answers are drawn first,
each from a stream of its own, and the scene is then built around them: so they are balanced and independent of one
another, and what the picture is of can be read from `Scene` without looking at it.

Lengths are in units of 1/64 of the picture's side, x to the right and y downward from the top left corner; headings are
in radians, clockwise from straight up.

What the world does not do: shapes never overlap and never leave the picture; the marked shape's centre keeps 1.5 units
from the borders of its cell, and from the picture's edge what the largest shape needs; the more shapes there are, the
smaller the unmarked ones tend to be, since they must fit. More shapes mean more drawn area and more edges, as anywhere:
the count is hidden from a picture's mean colour, not from everything that is simple.
"""

import colorsys
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from laya_nb.support.checks import check_integer
from laya_nb.support.seeds import numpy_generator

UNITS = 64
"""The picture's side, in the units of this module."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "count": ("one", "two", "three", "four", "five", "six"),
    "position": (
        "top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right",
    ),
    "orientation": ("up", "up right", "right", "down right", "down", "down left", "left", "up left"),
    "size": ("small", "medium", "large"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    "shape": ("triangle", "arrowhead", "drop", "half disc", "heart"),
}  # fmt: skip
"""The questions, and the names of their answers 0, 1, 2, ... All but the count are about the marked shape."""

RADII = (3.7, 4.9, 6.5)
"""Small, medium, large: the radius of a disc of the same area. A shape's own differs from it by at most 4%."""

HUES = (0, 30, 56, 120, 184, 224, 270, 318)
"""Degrees, in the order of the colours' names; a shape's own differs by at most 6."""

OUTLINE = 1.6
CELL_MARGIN = 1.5
GAP = 1.2
SMALLEST = 3.3


@dataclass(frozen=True)
class Thing:
    """A shape in a scene: its kind (an answer of "shape"), its centre of mass, its heading, its colour in [0, 1].

    `radius` is that of a disc of the same area.
    """

    kind: int
    x: float
    y: float
    radius: float
    heading: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """All that is in a picture. The marked shape is the first.

    `background` is an even gradient: the colour in the middle of the picture, then by how much each of its three
    channels rises from left to right, and from top to bottom. `answers` has each question's.
    """

    answers: dict[str, int]
    background: tuple[tuple[float, float, float], float, float]
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Scenes:
    """Pictures (N, 3, size, size), uint8, and the answers by question, (N,) int64: places in `QUESTIONS[question]`."""

    pictures: np.ndarray
    answers: dict[str, np.ndarray]


def scenes(count: int, seed: int, size: int = 64) -> Scenes:
    """Draw `count` scenes, `size` pixels high and wide.

    The seed decides everything: the same seed with a larger count begins with the same scenes, and another size shows
    the same scenes finer or coarser. Of any first n scenes, two answers to a question differ in number by at most one.

    Raises:
        ValueError: for a count below 1, a size below 32 (the shapes could not be told apart) or a negative seed.
    """
    check_integer("size", size, minimum=32)
    described = describe(count, seed)
    return Scenes(
        np.stack([draw(scene, size) for scene in described]),
        {question: np.array([scene.answers[question] for scene in described]) for question in QUESTIONS},
    )


def describe(count: int, seed: int) -> list[Scene]:
    """The scenes that `scenes` draws, as descriptions."""
    check_integer("count", count)
    answers = {
        question: balanced(count, len(names), numpy_generator(seed, f"world, {question}"))
        for question, names in QUESTIONS.items()
    }
    return [
        _scene(
            {question: int(answers[question][i]) for question in QUESTIONS}, numpy_generator(seed, f"world, scene {i}")
        )
        for i in range(count)
    ]


def balanced(count: int, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (count,) int64 in shuffled rounds, each of which has every class once: any beginning of them is balanced.

    A larger count from a generator in the same state begins with the same labels.
    """
    return np.argsort(rng.random((-(-count // num_classes), num_classes)), axis=1).ravel()[:count]


def _scene(answers: dict[str, int], rng: np.random.Generator) -> Scene:
    def between(low: float, high: float) -> float:
        return low + (high - low) * rng.random()

    def colour(name: int) -> tuple[float, float, float]:
        hue = (HUES[name] + between(-6, 6)) % 360 / 360
        return colorsys.hsv_to_rgb(hue, between(0.75, 1), between(0.75, 1))

    def marked() -> Thing:
        row, column = divmod(answers["position"], 3)
        margin = RADII[-1] * 1.04 * max(map(extent, range(len(QUESTIONS["shape"])))) + OUTLINE + 0.5
        x, y = (
            between(
                max(cell * UNITS / 3 + CELL_MARGIN, margin), min((cell + 1) * UNITS / 3 - CELL_MARGIN, UNITS - margin)
            )
            for cell in (column, row)
        )
        heading = (answers["orientation"] + between(-0.3, 0.3)) * math.tau / 8
        return Thing(
            answers["shape"], x, y, RADII[answers["size"]] * between(0.96, 1.04), heading, colour(answers["colour"])
        )

    def another(largest: float) -> Thing:
        kind = int(between(0, len(QUESTIONS["shape"])))
        radius = between(SMALLEST, largest)
        margin = radius * extent(kind) + 0.5
        return Thing(
            kind, between(margin, UNITS - margin), between(margin, UNITS - margin), radius, between(0, math.tau),
            colour(int(between(0, len(HUES)))),
        )  # fmt: skip

    grey = between(0.21, 0.79)  # so that no corner of the gradient is cut off at black or white
    red, green, blue = (grey + between(-0.06, 0.06) for _ in range(3))
    rise, direction = between(0, 0.2), between(0, math.tau)
    things = [marked()]
    tries = 0
    while len(things) < answers["count"] + 1:
        tries += 1
        thing = another(SMALLEST + (RADII[-1] * 1.04 - SMALLEST) * 0.97**tries)
        if all(_apart(thing, other) for other in things):
            things.append(thing)
        elif tries % 50 == 0:
            del things[1:]  # a layout with no room left: begin again around the marked shape
    background = (red, green, blue), rise * math.cos(direction), rise * math.sin(direction)
    return Scene(answers, background, tuple(things))


def _apart(a: Thing, b: Thing) -> bool:
    """Whether the circles around two shapes leave room between them, for an outline too."""
    return math.dist((a.x, a.y), (b.x, b.y)) > a.radius * extent(a.kind) + b.radius * extent(b.kind) + OUTLINE + GAP


def draw(scene: Scene, size: int = 64) -> np.ndarray:
    """The picture of a scene, (3, size, size) uint8, with smooth edges."""
    scale = size / UNITS
    (middle, rise_x, rise_y), centres = scene.background, (np.arange(size) + 0.5) / size - 0.5
    picture = np.array(middle)[:, None, None] + rise_x * centres + rise_y * centres[:, None]
    for thing in scene.things:
        reach = thing.radius * extent(thing.kind) + OUTLINE + 1 / scale
        rows, columns = (
            slice(max(0, math.floor((at - reach) * scale)), min(size, math.ceil((at + reach) * scale)))
            for at in (thing.y, thing.x)
        )
        y, x = (np.arange(span.start, span.stop) + 0.5 for span in (rows, columns))
        distance = scale * _distance(thing, x / scale, y[:, None] / scale)
        patch = picture[:, rows, columns]
        if thing is scene.things[0]:
            light = patch.mean() < 0.5
            patch += np.clip(0.5 + OUTLINE * scale - distance, 0, 1) * (float(light) - patch)
        patch += np.clip(0.5 - distance, 0, 1) * (np.array(thing.colour)[:, None, None] - patch)
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _distance(thing: Thing, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far points lie outside a shape, negative within, in units: its table, turned and enlarged, read between."""
    sin, cos = math.sin(thing.heading), math.cos(thing.heading)
    x, y = (x - thing.x) / thing.radius, (y - thing.y) / thing.radius
    column, row = (
        np.clip((at / REACH + 1) * STEPS, 0, 2 * STEPS - 1e-9) for at in (x * cos + y * sin, y * cos - x * sin)
    )
    i, j = row.astype(int), column.astype(int)
    row, column = row - i, column - j
    table = distances(thing.kind)
    upper = table[i, j] * (1 - column) + table[i, j + 1] * column
    lower = table[i + 1, j] * (1 - column) + table[i + 1, j + 1] * column
    return thing.radius * (upper * (1 - row) + lower * row)


REACH, STEPS = 3.0, 90


@cache
def distances(kind: int) -> np.ndarray:
    """Signed distances to a shape of radius 1 that points up, (2 * STEPS + 1,) * 2: rows y and columns x, both from
    -REACH to REACH."""
    steps = np.linspace(-REACH, REACH, 2 * STEPS + 1)
    points = np.stack(np.broadcast_arrays(steps, steps[:, None]), axis=-1)
    squared = np.full(points.shape[:-1], np.inf)
    inside = np.zeros(points.shape[:-1], bool)
    for a, b in _edges(corners(kind)):
        along, to = b - a, points - a
        nearest = to - np.clip(to @ along / (along @ along), 0, 1)[..., None] * along
        squared = np.minimum(squared, (nearest**2).sum(axis=-1))
        crosses = (a[1] > points[..., 1]) != (b[1] > points[..., 1])  # a ray to the right meets this edge: even or odd
        inside ^= crosses & ((along[0] * to[..., 1] - along[1] * to[..., 0]) * np.sign(along[1]) > 0)
    return np.where(inside, -1, 1) * np.sqrt(squared)


@cache
def extent(kind: int) -> float:
    """How far a shape of radius 1 reaches from its centre of mass."""
    return float(np.hypot(*corners(kind).T).max())


@cache
def corners(kind: int) -> np.ndarray:
    """A shape as a polygon (K, 2) that points up (to negative y), its centre of mass at 0, its area that of a unit
    disc. Curves are 48 short edges or so."""
    name = QUESTIONS["shape"][kind]
    turn = np.linspace(0, math.tau, 48, endpoint=False)
    if name == "triangle":
        polygon = np.array([(0, -1.3), (1, 1.3), (-1, 1.3)])
    elif name == "arrowhead":
        polygon = np.array([(0, -1.2), (1, 1.2), (0, 0.6), (-1, 1.2)])
    elif name == "drop":  # a disc, and its two tangents from a point above it
        arc = np.linspace(math.acos(1 / 1.9), math.tau - math.acos(1 / 1.9), 48)
        polygon = np.vstack([(0, -1.9), np.stack([np.sin(arc), -np.cos(arc)], axis=1)])
    elif name == "half disc":
        arc = np.linspace(-math.pi / 2, math.pi / 2, 48)
        polygon = np.stack([np.sin(arc), -np.cos(arc)], axis=1)
    else:  # a disc bent to a heart that stands on its head: the point is up
        x, y = np.sin(turn) ** 3, 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        polygon = np.stack([16 * x, y], axis=1)
    crossed = [(a[0] * b[1] - a[1] * b[0], a + b) for a, b in _edges(polygon)]
    area = sum(cross for cross, _ in crossed) / 2
    centre = sum(cross * both for cross, both in crossed) / (6 * area)
    return (polygon - centre) * math.sqrt(math.pi / abs(area))


def _edges(polygon: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(polygon, np.roll(polygon, -1, axis=0), strict=True)
