"""The rendered pages, opened in a real Chromium as a reader would: light, dark, and on a phone."""

import functools
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import book_pdf
import nbformat
import pytest
from conftest import ROOT, Book
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, Route
from test_book import NOTEBOOKS, PAGES

HOW = (
    "The browser tests need a Chromium (Debian: apt-get install chromium; macOS: brew install --cask chromium). "
    "Set CHROMIUM to its path if it is not found."
)


@dataclass(frozen=True)
class Look:
    width: int
    height: int
    scheme: str


INVERTED = "invert(1) hue-rotate(180deg)"  # what the dark theme does to figures: book.css
LOOKS = {"light": Look(1280, 900, "light"), "dark": Look(1280, 900, "dark"), "narrow": Look(390, 800, "light")}


def find_chromium() -> str:
    """The path of a Chromium. Without one the tests skip, but never in CI: there they have to run."""
    if path := book_pdf.find_chromium():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(HOW)
    pytest.skip(HOW)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with book_pdf.chromium(find_chromium()) as browser:
        yield browser


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def site(book: Book) -> Iterator[str]:
    with serving(book.html) as base:
        yield base


@contextmanager
def opened(browser: Browser, base: str, name: str, look: Look) -> Iterator[tuple[Page, list[str]]]:
    """A page as that reader sees it, settled, and what went wrong so far; the list grows while the page is used."""
    notes: list[str] = []
    page = browser.new_page(viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme)  # type: ignore[arg-type]

    def on_route(route: Route) -> None:
        if route.request.url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            notes.append(f"leaves the machine: {route.request.url}")
            route.abort()

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            notes.append(f"console: {message.text}")

    def on_response(response: Response) -> None:
        if response.status >= 400:
            notes.append(f"failed: {response.status} {response.url}")

    def on_failure(request: Request) -> None:
        # A download ends the navigation that asked for it: not a failure.
        if request.url.startswith(base) and request.failure != "net::ERR_ABORTED":
            notes.append(f"failed: {request.failure} {request.url}")

    page.route("**/*", on_route)
    page.on("console", on_console)
    page.on("pageerror", lambda error: notes.append(f"console: {error}"))
    page.on("response", on_response)
    page.on("requestfailed", on_failure)
    page.goto(base + name, wait_until="load")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")
    yield page, notes
    page.close()


# Text of the article whose colour is too close to what lies behind it (WCAG AA: a ratio of 4.5).
FAINT = """() => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = box => {
    for (; box; box = box.parentElement) {
      const colour = rgba(getComputedStyle(box).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll('article :is(p, li, td, th, caption, figcaption, a, h1, h2, h3, pre, pre span)')]
    .filter(box => [...box.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && box.checkVisibility()
                   && !box.matches('.headerlink'))
    .filter(box => {
      const [a, b] = [luminance(rgba(getComputedStyle(box).color)), luminance(behind(box))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    }).map(box => box.innerText.slice(0, 40));
}"""

# Prose only: code may well hold dollars and backslashes.
PROSE = """() => {
  const copy = document.body.cloneNode(true);
  copy.querySelectorAll('pre, code, script, style, mjx-container').forEach(box => box.remove());
  return copy.textContent;
}"""

SEARCH_BOXES = """() => [...document.querySelectorAll('.search-button-field, .search-button, input[type=search]')]
  .filter(box => box.checkVisibility() && box.getBoundingClientRect().width > 0).length"""


def complaints(browser: Browser, base: str, name: str, look: Look) -> list[str]:
    """Everything that a reader would find wrong with a page, in that look."""
    with opened(browser, base, name, look) as (page, notes):
        # Images below the fold have to be asked for, too.
        page.evaluate(
            "() => Promise.allSettled([...document.images].map(i => { i.loading = 'eager'; return i.decode(); }))"
        )
        if found := re.findall(r"\\[(\[]|\$\$|\\[a-zA-Z]+[{_^]|\$[^$\n]*\\[a-zA-Z]+[^$\n]*\$", page.evaluate(PROSE)):
            notes.append(f"raw TeX: {found[:3]}")
        if page.evaluate("() => [...document.querySelectorAll('.math')].some(m => !m.querySelector('mjx-container'))"):
            notes.append("equation: not rendered")
        if page.locator("mjx-merror, [data-mml-node=merror]").count():
            notes.append("equation: TeX error")
        described = "i => i.alt.trim() && !/\\.(png|svg|jpe?g)$/.test(i.alt)"
        for source in page.evaluate(
            f"() => [...document.images].filter(i => !({described})(i)).map(i => i.src.slice(0, 80))"
        ):
            notes.append(f"alt text: {source}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > look.width:
            notes.append(f"sideways: {width} px in a window of {look.width} px")
        if (boxes := page.evaluate(SEARCH_BOXES)) != 1:
            notes.append(f"search: {boxes} boxes to be seen")
        if faint := page.evaluate(FAINT):
            notes.append(f"faint text: {faint[:5]}")
        filters = page.evaluate(
            "() => [...document.querySelectorAll(':is(article figure, .cell_output) img:not(.photograph)')]"
            ".map(i => getComputedStyle(i).filter)"
        )
        if set(filters) - {INVERTED if look.scheme == "dark" else "none"}:
            notes.append("figure: the theme changes its colours")
        return notes


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_page_as_a_reader_sees_it(browser: Browser, site: str, page: str, look: str) -> None:
    assert complaints(browser, site, f"{page}.html", LOOKS[look]) == []


def test_the_folder_alone_leads_to_the_first_page(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(site)
    page.wait_for_url(f"{site}{PAGES[0]}.html")
    assert page.request.get(f"{site}favicon.ico").ok  # the page that leads on names no icon: browsers look here
    page.close()


def test_chapters_have_equations(browser: Browser, site: str) -> None:
    """The check above would pass on pages without any."""
    with opened(browser, site, "book/mechanism.html", LOOKS["light"]) as (page, _):
        assert page.locator("mjx-container svg").count() > 0


def test_theme_button_changes_the_page(browser: Browser, site: str) -> None:
    with opened(browser, site, f"{PAGES[0]}.html", LOOKS["light"]) as (page, notes):
        seen = {}
        for _ in range(3):  # the button goes round light, dark and the system's choice
            page.locator(".theme-switch-button:visible").click()
            theme = page.locator("html").get_attribute("data-theme")
            seen[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert set(seen) == {"light", "dark"}
        assert seen["light"] != seen["dark"]
        assert notes == []


def test_a_figures_ground_is_the_pages_in_both_themes(browser: Browser, site: str) -> None:
    """No white card in the dark: what is drawn at a figure's corner is what is drawn beside it."""
    for look in (LOOKS["light"], LOOKS["dark"]):
        with opened(browser, site, "book/fashion_mnist.html", look) as (page, _):
            figure = page.locator("article figure img").first
            figure.scroll_into_view_if_needed()
            page.evaluate("() => document.querySelector('article figure img').decode()")
            box = figure.bounding_box()
            assert box
            seen = []
            for x in (box["x"] + 2, box["x"] - 4):  # inside the corner, and beside it
                shot = page.screenshot(clip={"x": x, "y": box["y"] + 2, "width": 1, "height": 1})
                seen.append(Image.open(BytesIO(shot)).convert("RGB").getpixel((0, 0)))
            assert seen[0] == seen[1]
            assert (sum(seen[0]) > 600) == (look.scheme == "light")  # type: ignore[arg-type]


def test_search_finds_a_word(browser: Browser, site: str) -> None:
    with opened(browser, site, f"{PAGES[0]}.html", LOOKS["light"]) as (page, notes):
        page.locator(".search-button-field:visible").click()
        page.locator("input[type=search]:visible").fill("temperature")
        page.keyboard.press("Enter")
        hit = page.locator("#search-results li a").first
        hit.wait_for()
        with page.expect_navigation():
            hit.click()
        assert "temperature" in page.locator("article").inner_text().lower()
        assert notes == []


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_download_button_gives_the_notebook(browser: Browser, site: str, page: str) -> None:
    with opened(browser, site, f"{page}.html", LOOKS["light"]) as (tab, notes):
        tab.locator(".dropdown-download-buttons > button").click()
        with tab.expect_download() as download:
            tab.locator(".btn-download-source-button").click()
        assert nbformat.read(download.value.path(), as_version=4) == nbformat.read(ROOT / f"{page}.ipynb", as_version=4)
        assert notes == []


CLEAN = """<!doctype html><html lang="en"><link rel="icon" href="data:,"><body><input type="search" aria-label="Search">
<article><h1>A page</h1><pre>cost = "$$"</pre>{}</article></body></html>"""
# What is planted, the look that shows it, how the complaint starts.
PLANTED = {
    "script error": ("<script>nonsense()</script>", "light", "console"),
    "remote script": ('<script src="https://example.invalid/a.js"></script>', "light", "leaves the machine"),
    "missing file": ('<link rel="stylesheet" href="gone.css">', "light", "failed: 404"),
    "raw TeX": ("<p>the weight \\(x\\)</p>", "light", "raw TeX"),
    "raw TeX in dollars": ("<p>the weight $\\alpha$</p>", "light", "raw TeX"),
    "equation left alone": ('<span class="math">x</span>', "light", "equation: not rendered"),
    "no alt text": ('<img src="data:," alt="">', "light", "alt text"),
    "file name as alt text": ('<img src="data:," alt="a.png">', "light", "alt text"),
    "wide box": ('<div style="width: 600px">a</div>', "narrow", "sideways"),
    "second search box": ('<input type="search">', "light", "search: 2"),
    "faint text": ('<p style="color: #999">a</p>', "light", "faint text"),
    "figure on a card": ('<figure><img src="data:," alt="a"></figure>', "dark", "figure"),
    "dimmed figure": ('<figure><img src="data:," alt="a" style="filter: brightness(.8)"></figure>', "dark", "figure"),
}


def test_a_clean_page_passes(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(CLEAN.format("<p>All is well.</p>"))
    with serving(tmp_path) as base:
        assert [complaints(browser, base, "page.html", look) for look in LOOKS.values()] == [[], [], []]


@pytest.mark.parametrize("what", PLANTED)
def test_planted_fault_is_seen(browser: Browser, tmp_path: Path, what: str) -> None:
    body, look, complaint = PLANTED[what]
    (tmp_path / "page.html").write_text(CLEAN.format(body))
    with serving(tmp_path) as base:
        found = complaints(browser, base, "page.html", LOOKS[look])
    assert any(note.startswith(complaint) for note in found), found


def test_ci_never_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/no/chromium/here")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        find_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_chromium()
