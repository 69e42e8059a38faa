"""The explorer: a head taken apart gives its logits back, and the page element computes the same as PyTorch."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page
from test_browser import LOOKS, browser, opened, serving

from laya_nb import data, figures
from laya_nb.analysis.decomposition import decompose
from laya_nb.backbones import MLP
from laya_nb.heads import AttentiveFusionHead, DepthClassifier, LastLayerHead, LAYAHead, ScalarMixHead
from laya_nb.runs import ResultStore, Run, measure, trained_model
from laya_nb.runs.decomposed import decomposed
from laya_nb.runs.train import model_for
from laya_nb.training import TrainingConfig

__all__ = ["browser"]  # a fixture

SAMPLE = data.load("fashion_mnist_sample")
IMAGES, LABELS = SAMPLE.test.x[:40], SAMPLE.test.y[:40]


@pytest.fixture(scope="module")
def trained() -> DepthClassifier:
    return trained_model(Run())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_come_back_at_any_temperature(trained: DepthClassifier, temperature: float) -> None:
    found = decompose(trained, IMAGES)
    assert found.temperature == trained.head.temperature
    classifier = trained.head.classifier
    assert isinstance(classifier, torch.nn.Linear)
    other = LAYAHead(trained.head.in_dims, 10, d_star=classifier.in_features, temperature=temperature)
    other.load_state_dict(trained.head.state_dict())
    with torch.no_grad():
        logits, attention, _ = other(trained.backbone(IMAGES))
    np.testing.assert_allclose(found.logits(temperature), logits.numpy(), atol=2e-5)
    np.testing.assert_allclose(found.weights(temperature), attention.numpy(), atol=1e-6)


def test_a_head_with_one_weight_for_all_inputs_can_be_taken_apart() -> None:
    model = DepthClassifier(MLP(784, (8, 4)), ScalarMixHead((8, 4), 10))
    with torch.no_grad():
        assert np.allclose(decompose(model, IMAGES).logits(), model.eval()(IMAGES).logits.numpy(), atol=1e-5)


def test_heads_without_a_score_for_each_layer_are_refused() -> None:
    with pytest.raises(ValueError, match="LastLayerHead has no single score for each layer; a LAYAHead has"):
        decompose(DepthClassifier(MLP(784, (8, 4)), LastLayerHead((8, 4), 10)), IMAGES)
    with pytest.raises(ValueError, match="AttentiveFusionHead has no single score"):
        decompose(DepthClassifier(MLP(784, (8, 8)), AttentiveFusionHead((8, 8), 10)), IMAGES)


def test_what_a_trained_model_is_made_of_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    run = Run(dataset="fashion_mnist_sample", hidden_dims=(8, 4), protocol=TrainingConfig(max_epochs=1))
    (found,) = measure([run], decomposed, ResultStore(tmp_path / "results", published=False))
    assert {name: np.shape(value) for name, value in found.items()} == {
        "scores": (200, 2), "values": (200, 2, 10), "bias": (10,), "temperature": (),
    }  # fmt: skip
    other = model_for(run, SAMPLE)
    with pytest.raises(ValueError, match="the model is for 'letters'"):
        decomposed(other, SAMPLE.__class__("letters", "", SAMPLE.classes, SAMPLE.train, SAMPLE.test))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": IMAGES[:, 0]}, r"images must be \(N, 1 or 3, height, width\), at least one, got \(40, 28, 28\)"),
        ({"images": IMAGES[:7]}, "taken apart for the same 7 images"),
        ({"labels": [1, 2]}, "labels must be 40, got 2"),
        ({"classes": ["a"]}, "classes must be 10, got 1"),
        ({"layers": ["a"]}, "layers must be 3, got 1"),
    ],
)
def test_what_does_not_fit_is_named(trained: DepthClassifier, change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        figures.explore(**{"networks": {"a": decompose(trained, IMAGES)}, "images": IMAGES, **change})


def test_the_same_input_gives_the_same_bytes_and_names_cannot_end_the_script(trained: DepthClassifier) -> None:
    first, again = (figures.explore(trained, IMAGES, classes=["</script>"] * 10).html for _ in range(2))
    assert first == again
    assert first.count("</script>") == 2
    content = re.search(r'<script type="application/json">(.*?)</script>', first, re.S)
    assert content is not None
    assert json.loads(content[1])["classes"][0] == "</script>"
    still = re.search(r'class="photograph" src="data:image/png;base64,([^"]*)" alt="([^"]*)"', first)
    assert still is not None
    assert base64.b64decode(still[1]).startswith(b"\x89PNG")
    assert re.fullmatch(r"An image, and the weights of h1, h2, h3: this network 0\.\d\d, 0\.\d\d, 0\.\d\d\.", still[2])


def test_pictures_may_have_colours_and_any_scale() -> None:
    model = DepthClassifier(MLP(3 * 64, (8, 4)), LAYAHead((8, 4), 2, 4))
    assert len(figures.explore(model, 5 * torch.randn(30, 3, 8, 8)).html) > 10_000


@pytest.fixture
def page(browser, trained: DepthClassifier, tmp_path: Path) -> Iterator[Page]:  # type: ignore[no-untyped-def]
    """Two networks on one page, which is opened as a file's would be: nothing else is there."""
    torch.manual_seed(0)
    drawn = model_for(Run(seed=1), SAMPLE).eval()
    networks = {"trained": decompose(trained, IMAGES), "drawn": decompose(drawn, IMAGES)}
    element = figures.explore(networks, IMAGES, LABELS, SAMPLE.classes).html
    title = '<!doctype html><html lang="en"><meta charset="utf-8"><title>a</title><link rel="icon" href="data:,"><body>'
    (tmp_path / "page.html").write_text(title + element)
    with serving(tmp_path) as base, opened(browser, base, "page.html", LOOKS["light"]) as (page, notes):
        yield page
        assert notes == []  # no error, no request


def logits(page: Page, network: int, temperature: float) -> np.ndarray:
    return np.array(
        page.evaluate(
            "([n, tau, count]) => [...Array(count).keys()]"
            ".map(i => document.querySelector('.laya-explorer').logits(n, i, tau))",
            [network, temperature, len(IMAGES)],
        )
    )


def weights(page: Page, network: int, temperature: float) -> np.ndarray:
    return np.array(
        page.evaluate(
            "([n, tau]) => document.querySelector('.laya-explorer').weights(n, 3, tau)", [network, temperature]
        )
    )


def test_the_pages_logits_are_pytorchs(page: Page, trained: DepthClassifier) -> None:
    with torch.no_grad():
        expected = trained(IMAGES).logits.numpy()
    np.testing.assert_allclose(logits(page, 0, decompose(trained, IMAGES).temperature), expected, atol=1e-5)
    apart = decompose(trained, IMAGES)
    for temperature in (0.05, 7.0):
        np.testing.assert_allclose(logits(page, 0, temperature), apart.logits(temperature), atol=1e-5)


def test_extreme_temperatures_give_one_layer_or_all_alike(page: Page) -> None:
    np.testing.assert_allclose(weights(page, 0, 1e4), [1 / 3] * 3, atol=1e-3)
    np.testing.assert_allclose(sorted(weights(page, 0, 1e-4)), [0, 0, 1], atol=1e-9)


def test_it_is_played_by_keyboard_alone(page: Page) -> None:
    status = page.get_by_role("status")
    before, reading = status.inner_text(), page.locator(".reading")
    assert "as trained" in reading.inner_text()
    page.keyboard.press("Tab")  # Previous
    page.keyboard.press("Tab")  # Next
    page.keyboard.press("Enter")
    assert page.locator(".named").inner_text().startswith("2 of 40: ")
    assert status.inner_text() != before
    page.keyboard.press("Tab")  # Next mistake
    page.keyboard.press("Enter")
    assert status.inner_text().endswith("wrong.")
    page.keyboard.press("Tab")  # the networks
    page.keyboard.press("ArrowDown")
    assert status.inner_text().startswith("drawn: ")
    page.keyboard.press("Tab")  # the temperature
    page.keyboard.press("Home")
    assert reading.inner_text().startswith("τ = 0.0100, not as trained: this network learned at τ = ")
    assert "100 % of the weight" in status.inner_text()
    page.keyboard.press("Tab")  # As trained
    page.keyboard.press("Enter")
    assert "as trained" in reading.inner_text()
    assert "not as trained" not in reading.inner_text()


def test_bars_are_named_and_numbered_for_those_who_do_not_see_them(page: Page) -> None:
    table = page.locator("table.classes")
    names = table.locator("th").all_inner_texts()
    assert [name.removesuffix(" (true)") for name in names] == list(SAMPLE.classes)
    assert sum(name.endswith(" (true)") for name in names) == 1
    shares = [float(text.rstrip(" %")) for text in table.locator("td.number").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert page.get_by_role("slider", name="τ, from one layer alone to all alike").count() == 1
    assert page.get_by_role("radio", name="trained").count() == 1
    assert page.get_by_role("img", name="Image 1: ").count() == 1


def test_without_scripts_a_still_picture_stands_in_its_place(browser, trained: DepthClassifier, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "page.html").write_text(figures.explore(trained, IMAGES).html)
    page = browser.new_page(java_script_enabled=False)
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator(".still img").is_visible()
    assert not page.locator(".live").is_visible()
    page.close()
