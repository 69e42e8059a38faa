"""Every page with axe-core, with the keyboard alone, and in the windows of a laptop and a phone.

axe-core (tests/data/README.md) runs on a page with everything unfolded: its rules for WCAG 2.1 A and AA and for best
practice; in the dark those again that look at colours, as nothing else differs.
"""

from pathlib import Path

import pytest
from conftest import ROOT
from playwright.sync_api import Browser, Page
from test_book import PAGES
from test_browser import CLEAN, INVERTED, LOOKS, browser, opened, site

__all__ = ["browser", "site"]  # fixtures

AXE = (ROOT / "tests" / "data" / "axe-core-4.14.1.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]

# What the theme's templates write outside the article, and no setting changes: rule, element, why it does no harm.
EXCEPTIONS = [
    (
        "region",
        ".bd-sidebar-primary .sidebar-primary-item:has(> .navbar-brand)",
        "the book's title, no landmark's part",
    ),
    ("label-content-name-mismatch", ".search-button-field", 'named "Search"; its text goes on with the keys, "Ctrl+K"'),
    ("label-content-name-mismatch", ".theme-switch-button", 'named "Color mode"; its icons have titles of their own'),
]

# Of the rules asked for, each element that breaks one: "rule: path of the element".
FOUND = """async ([run, exceptions]) => {
  const found = await axe.run(document, {runOnly: run, resultTypes: ['violations'], preload: false});
  const excused = (rule, path) => exceptions.some(([id, where]) =>
    id === rule && path.length === 1 && document.querySelector(path[0]).matches(where));
  return found.violations.flatMap(({id, nodes}) =>
    nodes.filter(({target}) => !excused(id, target)).map(({target}) => `${id}: ${target.join(' ')}`));
}"""

# Boxes of code, of output and of tables that scroll sideways.
SIDEWAYS = """() => [...document.querySelectorAll('article :is(pre, .cell_output .text_html)')]
  .filter(box => box.scrollWidth > box.clientWidth + 1)
  .map(box => `${box.scrollWidth - box.clientWidth} px too wide: ${box.innerText.slice(0, 60)}`)"""

# Whatever in the article does something, numbered, and the article as the place where the Tab key starts.
NUMBER = """() => {
  const article = document.querySelector('article');
  const input = 'input:not([type=radio]:not(:checked))';  // arrows lead from the one that is chosen to its like
  const does = `a[href], button, summary, ${input}, select, textarea, [role=button], [tabindex="0"]`;
  const all = [...article.querySelectorAll(does)]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled);
  all.forEach((e, i) => { e.dataset.stop = i; });
  article.tabIndex = -1; article.focus();
  return all.length;
}"""
REACHED = "() => { window.reached = []; addEventListener('focusin', e => reached.push(e.target.dataset.stop)); }"
NAMES = """missing => missing.map(stop => document.querySelector(`[data-stop='${stop}']`).outerHTML.slice(0, 100))"""


def violations(page: Page, run: list[str] = RULES, exceptions: bool = True) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(FOUND, [run, [e[:2] for e in EXCEPTIONS] if exceptions else []])
    return found


def unfold(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('article details').forEach(box => { box.open = true; })")


def darken(page: Page) -> None:
    """The reader's system turns dark; colours that fade over have done so."""
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    page.evaluate("() => Promise.allSettled(document.getAnimations().map(a => a.finished))")


def unreached(page: Page) -> list[str]:
    """What does something in the article and the Tab key does not reach, in as many steps as there are such things."""
    count: int = page.evaluate(NUMBER)
    page.evaluate(REACHED)
    for _ in range(count):
        page.keyboard.press("Tab")
    reached: list[str | None] = page.evaluate("() => window.reached")
    missing: list[str] = page.evaluate(NAMES, [stop for stop in range(count) if str(stop) not in reached])
    return missing


@pytest.mark.parametrize("name", PAGES)
def test_page_is_open_to_all(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, f"{name}.html", LOOKS["light"]) as (page, notes):
        unfold(page)
        assert page.evaluate(SIDEWAYS) == []
        assert violations(page) == []
        darken(page)
        assert violations(page, OF_COLOURS) == []
        page.set_viewport_size({"width": 1400, "height": 900})
        assert page.evaluate(SIDEWAYS) == []
        assert notes == []


@pytest.mark.parametrize("name", ["book/mechanism", "book/run_it_yourself", "book/references"])
def test_the_tab_key_reaches_all_that_does_something(browser: Browser, site: str, name: str) -> None:
    with opened(browser, site, f"{name}.html", LOOKS["light"]) as (page, _):
        assert unreached(page) == []
        unfold(page)
        assert unreached(page) == []


def test_no_exception_is_idle(browser: Browser, site: str) -> None:
    with opened(browser, site, f"{PAGES[0]}.html", LOOKS["light"]) as (page, _):
        assert len(violations(page, exceptions=False)) == len(EXCEPTIONS)


PLANTED = {
    "image-alt": '<img src="data:,">',
    "color-contrast": '<p style="color: #999">faint text</p>',
    "empty-table-header": "<table><tr><th></th><th>a</th></tr><tr><td>b</td><td>c</td></tr></table>",
    "button-name": "<button></button>",
    "heading-order": "<h4>a</h4>",
}


def planted(browser: Browser, folder: Path, body: str) -> Page:
    (folder / "page.html").write_text(CLEAN.format(body).replace("<article>", "<title>A</title><main><article>"))
    page = browser.new_page()
    page.goto((folder / "page.html").as_uri())
    return page


@pytest.mark.parametrize("rule", PLANTED)
def test_planted_violation_is_seen(browser: Browser, tmp_path: Path, rule: str) -> None:
    page = planted(browser, tmp_path, PLANTED[rule])
    assert rule in {found.partition(":")[0] for found in violations(page)}
    page.close()


def test_planted_wide_code_and_unreached_button_are_seen(browser: Browser, tmp_path: Path) -> None:
    wide = '<pre style="overflow: auto">' + "x" * 400 + "</pre>"
    page = planted(browser, tmp_path, f'{wide}<button tabindex="-1">a</button><button>b</button>')
    assert [found[-5:] for found in page.evaluate(SIDEWAYS)] == ["xxxxx"]
    assert unreached(page) == ['<button tabindex="-1" data-stop="0">a</button>']
    page.close()


def test_wrapped_code_is_copied_as_written(browser: Browser, site: str) -> None:
    with opened(browser, site, "book/run_it_yourself.html", LOOKS["narrow"]) as (page, _):
        page.evaluate("() => { navigator.clipboard.writeText = async text => { window.copied = text; }; }")
        page.evaluate("() => { document.execCommand = () => { window.copied = getSelection().toString(); }; }")
        code = page.locator("article pre").filter(has_text="LocalCluster").first
        lines = code.evaluate("box => box.textContent.trimEnd().split('\\n')")
        assert code.evaluate("box => box.clientHeight / parseFloat(getComputedStyle(box).lineHeight)") > len(lines) + 2
        code.locator("xpath=..").locator("button.copybtn").click()
        assert page.evaluate("() => window.copied").rstrip().split("\n") == lines


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_is_enlarged_on_a_phone(browser: Browser, site: str, scheme: str) -> None:
    """By a tap and by the keyboard alone; Escape and the button close it, and the focus comes back."""
    with opened(browser, site, "book/fashion_mnist.html", LOOKS["narrow"]) as (page, notes):
        if scheme == "dark":
            darken(page)
        figure, button = page.locator("article figure img").first, page.locator("button.enlarge").first
        box = page.get_by_role("dialog", name=figure.get_attribute("alt"), exact=True)
        button.focus()
        page.keyboard.press("Enter")
        assert box.is_visible()
        shown = box.locator("img")
        assert shown.evaluate("i => i.decode().then(() => i.width === i.naturalWidth)")
        assert shown.evaluate("i => i.width") > LOOKS["narrow"].width
        assert box.locator(".enlarged-figure").evaluate("b => { b.scrollLeft = 99; return b.scrollLeft; }") == 99
        assert shown.evaluate("i => getComputedStyle(i).filter") == (INVERTED if scheme == "dark" else "none")
        assert violations(page) == []
        page.keyboard.press("Enter")  # the button that closes has the focus
        assert not box.is_visible()
        figure.click()
        assert box.is_visible()
        page.keyboard.press("Escape")
        assert not box.is_visible()
        assert button.evaluate("b => b === document.activeElement")
        assert notes == []
