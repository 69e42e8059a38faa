"""The element to explore layers with: it shows the numbers that it was given, to eyes, ears and the keyboard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from test_browser import LOOKS, browser, opened, serving

from laya_nb import figures

__all__ = ["browser"]  # a fixture

QUESTIONS = ["how it looks", "where"]
ACCURACY = np.array([[20.0, 90.0, 50.0], [30.0, 40.0, 85.25]])
WEIGHTS = {
    "ScalarMix": np.array([[[0.2, 0.5, 0.3], [0.2, 0.7, 0.1]], [[0.1, 0.1, 0.8], [0.1, 0.3, 0.6]]]),
    "LAYA": np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [[0.5, 0.5, 0.0], [0.3, 0.3, 0.4]]]),
}


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator[Page]:  # type: ignore[no-untyped-def]
    element = figures.explore_layers(ACCURACY, WEIGHTS, QUESTIONS).html
    title = '<!doctype html><html lang="en"><meta charset="utf-8"><title>a</title><link rel="icon" href="data:,"><body>'
    (tmp_path / "page.html").write_text(title + element)
    with serving(tmp_path) as base, opened(browser, base, "page.html", LOOKS["narrow"]) as (page, notes):
        yield page
        assert notes == []  # no error, no request


def test_it_begins_with_the_first_question_and_its_best_layer(page: Page) -> None:
    assert page.get_by_role("status").inner_text() == (
        "how it looks, layer 2: a linear probe is right for 90.0 %. Weights, mean and range over seeds: "
        "ScalarMix 0.60 (0.50 to 0.70), LAYA 0.00 (0.00 to 0.00). "
        "Best probe: layer 2, 90.0 %. Most weight: ScalarMix on 2, LAYA on 1."
    )
    assert page.locator("html").evaluate("html => html.scrollWidth") <= 390


def test_question_and_layer_are_chosen_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # the other question, and with it its best layer
    assert page.get_by_role("status").inner_text().startswith("where, layer 3: a linear probe is right for 85.3 %.")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert page.get_by_role("status").inner_text().startswith("where, layer 2: a linear probe is right for 40.0 %.")
    assert page.get_by_role("radio", name="2").is_checked()


def test_bars_are_as_long_as_they_say(page: Page) -> None:
    rows = page.locator("tbody tr")
    said = [cell.get_attribute("aria-label") for cell in rows.nth(0).get_by_role("img").all()]
    assert said == ["20.0 %", "0.20 (0.20 to 0.20)", "0.50 (0.00 to 1.00)"]
    lengths = (
        rows.nth(0).locator("i").evaluate_all("bars => bars.map(b => b.offsetWidth / b.parentElement.clientWidth)")
    )
    assert lengths == pytest.approx([0.2, 0.2, 0.5], abs=0.03)


def test_without_scripts_a_still_picture_says_the_same(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "page.html").write_text(figures.explore_layers(ACCURACY, WEIGHTS, QUESTIONS).html)
    page = browser.new_page(java_script_enabled=False)
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator(".still img").get_attribute("alt") == (
        "Bars for each layer; how it looks: linear probe, highest at layer 2; "
        "ScalarMix, highest at layer 2; LAYA, highest at layer 1."
    )
    assert page.locator(".still img").is_visible()
    assert not page.locator(".live").is_visible()
    page.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"accuracy": ACCURACY[0]}, r"accuracy must be 2 questions x layers, got \(3,\)"),
        (
            {"weights": {"a": WEIGHTS["LAYA"][:, 0]}},
            r"the weights of 'a' must be 2 questions x seeds x 3 layers, got \(2, 3\)",
        ),
        ({"layers": ["a"]}, "layers must be 3, got 1"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        figures.explore_layers(**{"accuracy": ACCURACY, "weights": WEIGHTS, "questions": QUESTIONS, **change})
