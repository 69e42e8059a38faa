"""The drawn world: its answers, recounted from the pictures by other means, and what gives none of them away."""

import colorsys
import hashlib
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from laya_nb.data import world
from laya_nb.data.world import QUESTIONS, Scene, Scenes, Thing
from laya_nb.support.seeds import numpy_generator

COUNT = 1500


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    return world.scenes(COUNT, seed=0)


def in_front(picture: np.ndarray) -> np.ndarray:
    """Where a picture (3, H, W) differs from its background, an even gradient that is found by fitting planes."""
    size = picture.shape[-1]
    rows, columns = np.indices((size, size)) / size
    design = np.stack([np.ones(size * size), rows.ravel(), columns.ravel()], axis=1)
    values = picture.reshape(3, -1).T.astype(float)
    kept = np.ones(len(values), bool)
    for _ in range(60):  # leave out what fits worst, fit again, until what is left fits to within the rounding
        error = np.abs(values - design @ np.linalg.lstsq(design[kept], values[kept])[0]).max(axis=1)
        if error[kept].max() < 1.5:
            return (error > 3).reshape(size, size)
        kept = error <= max(1.2, np.quantile(error[kept], 0.93))
    raise AssertionError("the background is not an even gradient")


def outlined(picture: np.ndarray, front: np.ndarray) -> tuple[int, np.ndarray]:
    """How many connected things there are, and where the one with a black or white outline is, outline included."""
    things, count = ndimage.label(front, np.ones((3, 3)))
    extreme = (picture.min(axis=0) > 235) | (picture.max(axis=0) < 20)
    return count, things == np.bincount(things[extreme & front], minlength=count + 1)[1:].argmax() + 1


def test_count_and_position_are_those_that_the_picture_shows(drawn: Scenes) -> None:
    for i in range(150):
        count, marked = outlined(drawn.pictures[i], in_front(drawn.pictures[i]))
        assert count == drawn.answers["count"][i] + 1
        y, x = (axis.mean() + 0.5 for axis in np.nonzero(marked))
        cell = 3 * int(3 * y / 64) + int(3 * x / 64)
        assert cell == drawn.answers["position"][i]


def test_colour_and_size_are_those_that_the_picture_shows(drawn: Scenes) -> None:
    for i in range(150):
        picture = drawn.pictures[i]
        _, marked = outlined(picture, in_front(picture))
        inner = ndimage.binary_erosion(marked, np.ones((3, 3)), iterations=2)
        red, green, blue = np.median(picture[:, inner], axis=1) / 255
        hue = 360 * colorsys.rgb_to_hsv(red, green, blue)[0]
        away = [abs((hue - name + 180) % 360 - 180) for name in world.HUES]
        assert np.argmin(away) == drawn.answers["colour"][i]

        of_its_colour = marked & (np.abs(picture - 255 * np.array([red, green, blue])[:, None, None]).max(axis=0) < 60)
        radius = math.sqrt(of_its_colour.sum() / math.pi)
        between = np.sqrt(np.multiply(world.RADII[1:], world.RADII[:-1]))
        assert np.searchsorted(between, radius) == drawn.answers["size"][i]


def silhouette(thing: Thing) -> np.ndarray:
    """Where a shape is, (128, 128), drawn alone in the middle of a black picture."""
    centred = replace(thing, x=32.0, y=32.0, radius=14.0, colour=(0.0, 1.0, 0.0))
    picture = world.draw(Scene({}, ((0.0, 0.0, 0.0), 0.0, 0.0), (centred,)), 128)
    return (picture[1] > 127) & (picture[0] < 128)  # the outline is white


@pytest.mark.parametrize("kind", range(len(QUESTIONS["shape"])))
def test_a_shape_points_up_until_it_is_turned(kind: int) -> None:
    upright = silhouette(Thing(kind, 0, 0, 1, 0, (0, 0, 0)))
    assert upright.sum() == pytest.approx(math.pi * 28**2, rel=0.02)  # the area that its radius says
    rows, columns = np.nonzero(upright)
    assert (rows.mean(), columns.mean()) == pytest.approx((63.5, 63.5), abs=0.3)
    assert (upright == upright[:, ::-1]).mean() > 0.995
    assert 63.5 - rows.min() > 1.15 * (rows.max() - 63.5)  # it reaches farther to where it points


def test_orientation_and_shape_are_those_that_fit() -> None:
    """Of the upright silhouettes, turned by other means in steps of an eighth of an answer, the best fit says both."""
    upright = [silhouette(Thing(kind, 0, 0, 1, 0, (0, 0, 0))).astype(float) for kind in range(len(QUESTIONS["shape"]))]
    turns = -360 / 64 * np.arange(64)
    turned = np.stack(
        [[ndimage.rotate(shape, turn, reshape=False, order=1) > 0.5 for turn in turns] for shape in upright]
    )
    for scene in world.describe(60, seed=1):
        fits = (silhouette(scene.things[0]) == turned).sum(axis=(2, 3))
        kind, turn = np.unravel_index(np.argmax(fits), fits.shape)
        assert (kind, round(turn / 8) % 8) == (scene.answers["shape"], scene.answers["orientation"])


def test_scenes_are_decided_by_the_seed_and_a_larger_count_begins_alike() -> None:
    few, many = world.scenes(7, seed=3), world.scenes(20, seed=3)
    assert np.array_equal(few.pictures, many.pictures[:7])
    for question in QUESTIONS:
        assert np.array_equal(few.answers[question], many.answers[question][:7])
    assert not np.array_equal(few.pictures, world.scenes(7, seed=4).pictures)


def test_scenes_are_those_that_were_published(drawn: Scenes) -> None:
    """A change of the generator changes results: it must be meant."""
    assert drawn.pictures.dtype == np.uint8
    answers = np.stack([drawn.answers[question][:50] for question in QUESTIONS]).astype(np.uint8)
    assert hashlib.sha256(answers.tobytes()).hexdigest()[:16] == "308628d6f708f856"
    assert hashlib.sha256(drawn.pictures[:50].tobytes()).hexdigest()[:16] == "33282fc7c3e68fa1"


@settings(max_examples=30)
@given(count=st.integers(1, 60), num_classes=st.integers(1, 12), more=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_labels_are_balanced_from_the_first_on(count: int, num_classes: int, more: int, seed: int) -> None:
    labels = world.balanced(count, num_classes, numpy_generator(seed, "test"))
    for n in range(1, count + 1):
        assert np.ptp(np.bincount(labels[:n], minlength=num_classes)) <= 1
    assert np.array_equal(world.balanced(count + more, num_classes, numpy_generator(seed, "test"))[:count], labels)


def test_answers_are_balanced_and_independent_of_each_other(drawn: Scenes) -> None:
    for question, names in QUESTIONS.items():
        assert drawn.answers[question].dtype == np.int64
        assert np.ptp(np.bincount(drawn.answers[question], minlength=len(names))) <= 1
    for one, other in combinations(QUESTIONS, 2):
        table = np.zeros((len(QUESTIONS[one]), len(QUESTIONS[other])))
        np.add.at(table, (drawn.answers[one], drawn.answers[other]), 1)
        assert chi2_contingency(table).pvalue > 0.001, (one, other)


def test_mean_colour_and_brightness_do_not_give_the_answers_away(drawn: Scenes) -> None:
    """No answer but the colour is in what a picture is on average."""
    colour = drawn.pictures.mean(axis=(2, 3))
    cues = np.hstack([colour, colour.mean(axis=1, keepdims=True), colour**2])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    for question in ("count", "position", "orientation", "size", "shape"):
        accuracy = cross_val_score(model, cues, drawn.answers[question], cv=3).mean()
        chance = 1 / len(QUESTIONS[question])
        assert accuracy < chance + 3 * math.sqrt(chance * (1 - chance) / COUNT), question


@settings(max_examples=10)
@given(seed=st.integers(0, 2**63))
def test_shapes_keep_apart_and_within_the_picture(seed: int) -> None:
    for scene in world.describe(12, seed):
        assert len(scene.things) == scene.answers["count"] + 1
        for thing in scene.things:
            reach = thing.radius * world.extent(thing.kind)
            assert reach < min(thing.x, thing.y)
            assert max(thing.x, thing.y) < world.UNITS - reach
        for a, b in combinations(scene.things, 2):
            reach = a.radius * world.extent(a.kind) + b.radius * world.extent(b.kind)
            assert math.dist((a.x, a.y), (b.x, b.y)) > reach + world.OUTLINE + 1
        column, row = int(3 * scene.things[0].x / world.UNITS), int(3 * scene.things[0].y / world.UNITS)
        assert 3 * row + column == scene.answers["position"]


def test_another_size_shows_the_same_scenes() -> None:
    small, large = world.scenes(6, seed=2, size=32), world.scenes(6, seed=2, size=96)
    assert (small.pictures.shape, large.pictures.shape) == ((6, 3, 32, 32), (6, 3, 96, 96))
    shrunk = large.pictures.reshape(6, 3, 32, 3, 32, 3).mean(axis=(3, 5))
    assert np.abs(shrunk - small.pictures).mean() < 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "count must be an integer of at least 1, got 0"),
        ((2.0, 0), r"count must be an integer of at least 1, got 2\.0"),
        ((5, -1), "seed must be an integer of at least 0, got -1"),
        ((5, True), "seed must be an integer of at least 0, got True"),
        ((5, 0, 31), "size must be an integer of at least 32, got 31"),
    ],
)
def test_bad_values_are_named(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world.scenes(*arguments)
