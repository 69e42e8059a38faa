"""Views and corruptions: the same for the same seed, as strong as asked, and never out of range."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from laya_nb.data import corruptions, views
from laya_nb.data.corruptions import STRENGTHS, STROKES, corrupt_images, corrupt_texts, redraw
from laya_nb.data.views import image_views, text_views

TEXTS = [f"The {name} of this film is not what anybody expected of it at all." for name in ("plot", "end", "music")]


def images(channels: int, count: int = 4, side: int = 32) -> Tensor:
    """Smooth pictures with all values from 0 to 1."""
    coarse = torch.rand(count, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)


# --- texts


@settings(max_examples=50)
@given(texts=st.lists(st.text(max_size=60), max_size=4), view=st.integers(0, 9), strength=st.floats(0, 1))
def test_a_view_of_a_text_depends_on_nothing_but_the_text(texts: list[str], view: int, strength: float) -> None:
    together = text_views(texts, view, strength)
    assert together == [text_views([text], view, strength)[0] for text in texts]
    for text, seen in zip(texts, together, strict=True):
        assert bool(seen.split()) == bool(text.split())  # some word remains
        assert seen == " ".join(seen.split())
    assert text_views(texts, view, strength=0) == [" ".join(text.split()) for text in texts]


def test_views_and_seeds_differ() -> None:
    seen = [tuple(text_views(TEXTS, view, 0.3, seed)) for view in range(8) for seed in (0, 1)]
    assert len(set(seen)) == 16


def test_a_share_of_the_words_is_changed_and_what_was_changed_stays_so() -> None:
    text = " ".join(["words"] * 4000)
    changed = {}
    for strength in (0.1, 0.3, 1.0):
        rng = np.random.default_rng(0)
        edits = [rng.random(4) for _ in range(4000)]
        changed[strength] = {i for i, (chance, *_) in enumerate(edits) if chance < strength}
        kept = views._noisy(text, strength, np.random.default_rng(0)).split().count("words")
        assert kept == pytest.approx(4000 * (1 - strength), abs=120)
        assert 4000 - len(changed[strength]) == kept
    assert changed[0.1] < changed[0.3] < changed[1.0]


@pytest.mark.parametrize(
    ("edit", "seen"),
    [("delete", "wrds"), ("swap", "wrods"), ("drop", ""), ("split", "wo rds"), ("substitute", "wards")],
)
def test_each_edit_is_what_its_name_says(edit: str, seen: str) -> None:
    assert views._edited("words", edit, place=0.3, other=0.0) == seen


def test_a_typo_hits_a_key_beside_the_right_one() -> None:
    assert set(views._BESIDE["s"]) == set("qweadzxc")
    assert {views._edited("s1", "typo", 0.0, other)[0] for other in np.linspace(0, 0.99, 50)} == set("qweadzxc")
    assert views._edited("a", "typo", 0.5, 0.5) == "a"  # a word of one letter


def test_texts_fall_apart_gradually() -> None:
    words = [f"word{i:04}" for i in range(2000)]
    left = [len(set(words) & set(corrupt_texts([" ".join(words)], strength)[0].split())) for strength in range(6)]
    assert left[0] == 2000
    for count, share in zip(left[1:], corruptions.TEXT_STRENGTHS, strict=True):
        assert count / 2000 == pytest.approx(1 - share, abs=0.05)
    assert corrupt_texts(TEXTS, 0) == TEXTS
    assert corrupt_texts(TEXTS, 5) != text_views(TEXTS, 0, corruptions.TEXT_STRENGTHS[-1])


# --- images


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_of_an_image_depends_on_nothing_but_the_image(channels: int) -> None:
    x = images(channels)
    state = torch.random.get_rng_state()
    seen = [image_views(x, view) for view in range(4)]
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)  # the global stream has no say
    assert torch.equal(image_views(x[[2, 1]], 3), seen[3][[2, 1]])
    for view in seen:
        assert (view.shape, view.dtype) == (x.shape, x.dtype)
        assert (view.min() >= 0, view.max() <= 1) == (True, True)
    everything = torch.stack([x, *seen, image_views(x, 0, seed=1)]).flatten(2).transpose(0, 1)
    for one in everything:
        assert (torch.cdist(one, one) + torch.eye(6) > 0.1).all()  # all views and seeds differ


def test_views_are_as_often_grey_as_they_should_be() -> None:
    seen = image_views(images(3, count=150, side=8), 0)
    grey = (seen - seen[:, :1]).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 0.1 < grey.float().mean() < 0.32  # 0.2, and six standard errors are 0.2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", STRENGTHS)
def test_images_change_more_with_the_strength(name: str, channels: int) -> None:
    x = images(channels, count=6)
    seen = [corrupt_images(x, name, strength) for strength in range(6)]
    assert torch.equal(seen[0], x)
    change = [float((one - x).abs().mean()) for one in seen]
    assert change == sorted(change)
    assert len(set(change)) == 6
    for one in seen:
        assert (one.shape, one.dtype) == (x.shape, x.dtype)
        assert (one.min() >= 0, one.max() <= 1) == (True, True)
    assert torch.allclose(corrupt_images(x[3:4], name, 3), seen[3][3:4], atol=1e-6)
    random = name in ("noise", "rotation")
    assert torch.equal(corrupt_images(x, name, 3, seed=1), seen[3]) != random


def test_what_corruptions_do_to_a_known_picture() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    noise = (corrupt_images(flat, "noise", 2) - flat).flatten()
    assert noise.std().item() == pytest.approx(STRENGTHS["noise"][1], rel=0.03)
    assert corrupt_images(flat, "brightness", 3).unique().item() == pytest.approx(0.5 * STRENGTHS["brightness"][2])
    for name in ("blur", "contrast", "pixelation"):
        assert torch.allclose(corrupt_images(flat, name, 5), flat, atol=1e-3)
    step = torch.cat([flat[..., :32] - 0.25, flat[..., 32:] + 0.25], dim=3)
    low = corrupt_images(step, "contrast", 2)
    assert (low.max() - low.min()).item() == pytest.approx(0.5 * STRENGTHS["contrast"][1], rel=1e-3)
    fine = corrupt_images(images(1, count=1), "pixelation", 5)[0, 0]
    assert len(fine.unique()) <= (32 * STRENGTHS["pixelation"][4]) ** 2
    tiny = torch.rand(1, 3, 2, 3)  # smaller than any kernel
    for name in STRENGTHS:
        assert corrupt_images(tiny, name, 5).shape == tiny.shape


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", STROKES)
def test_letters_change_more_with_the_strength(name: str, channels: int) -> None:
    x = torch.zeros(4, channels, 28, 28)
    x[:, :, 6:22, 12:16], x[:, :, 18:22, 8:20] = 1, 1
    seen = [redraw(x, name, strength) for strength in range(6)]
    assert torch.equal(seen[0], x)
    change = [float((one - x).abs().mean()) for one in seen]
    assert change == sorted(change)
    assert len(set(change)) == 6
    ink = [float(one.mean()) for one in seen]
    if name == "slant":
        assert ink == pytest.approx([ink[0]] * 6, rel=0.03)
        assert len({tuple(redraw(x, name, 3, seed)[0].flatten().tolist()) for seed in range(6)}) == 2
    else:
        assert ink == sorted(ink, reverse=name == "thinner strokes")
        width = seen[4][0, 0, 12].sum().item()  # of the upright stroke, 4 pixels at first
        assert width == pytest.approx(4 + (2 if name == "thicker strokes" else -2) * STROKES[name][3], abs=0.3)
    for one in seen:
        assert (one.shape, one.dtype) == (x.shape, x.dtype)
        assert (one.min() >= 0, one.max() <= 1) == (True, True)
    with pytest.raises(ValueError, match=r"way to draw must be 'thicker strokes' or .*, got 'blur'"):
        redraw(x, "blur", 1)


# --- what is refused


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 32, 32), r"images must be float \(N, 1 or 3, H, W\), got torch.float32 \(3, 32, 32\)"),
        (torch.zeros(2, 4, 8, 8), r"got torch.float32 \(2, 4, 8, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "got torch.uint8"),
        (torch.full((2, 3, 8, 8), 1.5), r"images must have values in \[0, 1\], got 1.5 to 1.5"),
        (torch.full((2, 3, 8, 8), torch.nan), r"images must have values in \[0, 1\], got nan"),
    ],
)
def test_what_is_no_image_is_named(x: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_views(x, 0)
    with pytest.raises(ValueError, match=message):
        corrupt_images(x, "noise", 1)


def test_bad_values_are_named() -> None:
    x = images(1)
    with pytest.raises(ValueError, match="view must be an integer of at least 0, got -1"):
        image_views(x, -1)
    with pytest.raises(ValueError, match="view must be an integer of at least 0, got -1"):
        text_views(TEXTS, -1)
    with pytest.raises(ValueError, match=r"strength must lie between 0 and 1, got 1\.5"):
        text_views(TEXTS, 0, 1.5)
    with pytest.raises(ValueError, match="texts must be a list of texts, got the text 'a film'"):
        text_views("a film", 0)
    with pytest.raises(ValueError, match="strength must be 0 or 1 or 2 or 3 or 4 or 5, got 6"):
        corrupt_images(x, "noise", 6)
    with pytest.raises(ValueError, match=r"strength must be 0 or .* or 5, got 1\.5"):
        corrupt_texts(TEXTS, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"corruption must be 'noise' or .* or 'jpeg', got 'fog'"):
        corrupt_images(x, "fog", 1)
