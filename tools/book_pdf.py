"""The whole book as one PDF, which Chromium prints from the rendered pages: title, contents, numbered pages.

The pages' articles are put together in the order of the contents; links between them lead within the document, folded
code is left out and solutions are unfolded. It is printed twice: the first time to learn on which page each chapter
begins, the second with these numbers in the contents. The first page of the rendered book then links to the PDF. With
--optional, where there is no Chromium, the book simply has no PDF and no such link.

usage: python tools/book_pdf.py [--optional]
"""

import argparse
import os
import posixpath
import re
import shutil
import tomllib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from chapter_files import ROOT, toc
from playwright.sync_api import Browser, Page, Route, ViewportSize, sync_playwright
from pypdf import PdfReader

HTML = ROOT / "_build" / "html"
NAME = "book.pdf"
LINK = "book-pdf"  # the class of the paragraph that links to it
STYLE = Path(__file__).with_suffix(".css")
FIT = Path(__file__).with_suffix(".js")
SITE = "http://book.invalid/"  # where Chromium finds the rendered book: its requests are answered from the folder
ROOM: ViewportSize = {"width": 642, "height": 963}  # of a page in CSS pixels: A4 less the margins that STYLE sets
CHROMIUM = 131  # the first that prints what @page says of a page's foot
HOW = (
    f"The PDF needs Chromium {CHROMIUM} or later (Debian: apt-get install chromium; macOS: brew install --cask "
    "chromium). Set CHROMIUM to its path if it is not found."
)

Parts = list[tuple[str, list[str]]]  # captions of parts, and the pages of each: what `toc` gives


# --- one document out of many pages -------------------------------------------------------------------------------


def slug(page: str) -> str:
    return page.replace("/", "-")


def read(folder: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup((folder / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


def leads_to(target: str, page: str, pages: Collection[str]) -> str:
    """What a page links to or shows, as seen from the document: an anchor in it, a file of the book, or outside."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return target
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path))) if parts.path else page
    other = path.removesuffix(".html")
    if other not in pages:
        return path
    return f"#{slug(other)}--{parts.fragment}" if parts.fragment else f"#{slug(other)}"


def article(folder: Path, page: str, pages: Collection[str]) -> Tag:
    """A page's text as it is printed: without what only a screen can show, its ids and links those of the document."""
    found = read(folder, page).select_one("article")
    if found is None:
        raise SystemExit(f"{page}.html has no article")
    # Folded code; scripts, without which an explorer shows its still picture; signs for the mouse; an older link to us.
    for useless in found.select(f"details.above-input, script, .headerlink, summary svg, .{LINK}"):
        useless.decompose()
    for folded in found.select("details"):
        folded["open"] = ""
    for tag in found.select("[id]"):
        if tag.find_parent(class_="text_html") is None:  # what code prints has ids of its own, and styles that use them
            tag["id"] = f"{slug(page)}--{tag['id']}"
    for image in found.select("img[src]"):
        image["src"] = leads_to(str(image["src"]), page, ())
        del image["loading"]
    for link in found.select("a[href]"):
        target = leads_to(str(link["href"]), page, pages)
        if target.startswith("#") or urlsplit(target).scheme:
            link["href"] = target
        else:
            link.unwrap()  # to a file that is served beside the book
    found["id"] = slug(page)
    return found


def title_page(title: str) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = project["urls"]["Repository"]
    authors = ", ".join(author["name"] for author in project["authors"])
    return f"""<header class="title-page"><p class="title">{escape(title)}</p>
<p class="author">{escape(authors)}</p><p>Version {project["version"]}</p>
<p class="notes">Printed from the pages of the web book, which holds more: the code behind figures and tables, and some
figures to play with. Chapters can be run and changed: <a href="{address}">{address}</a>. {project["license"]} licence.
</p></header>"""


def contents(parts: Parts, articles: dict[str, Tag]) -> str:
    """A line for every page of the book, with room for the number of the printed page on which it begins."""
    lines = ['<nav class="pages bd-article"><h1>Contents</h1>']
    for caption, pages in parts:
        lines += [f"<p>{escape(caption)}</p>" if caption else "", "<ul>"]
        for page in pages:
            heading = articles[page].select_one("h1")
            name = escape(heading.get_text() if heading else page)
            lines.append(f'<li><a href="#{slug(page)}"><span>{name}</span> <span class="number">000</span></a></li>')
        lines.append("</ul>")
    return "\n".join([*lines, "</nav>"])


def document(folder: Path, parts: Parts, title: str) -> str:
    """The book as one page of HTML, which stands at the root of its folder."""
    pages = [page for _, some in parts for page in some]
    head = read(folder, pages[0]).head
    assert head is not None
    styles = [leads_to(str(link["href"]), pages[0], ()) for link in head.select("link[rel=stylesheet]")]
    links = "".join(f'<link rel="stylesheet" href="{style}">' for style in styles)
    # Equations as on the pages: MathJax's settings, and its program.
    scripts = [script for script in head.select("script") if "mathjax" in str(script).lower()]
    for script in scripts:
        if script.get("src"):
            script["src"] = leads_to(str(script["src"]), pages[0], ())
    articles = {page: article(folder, page, pages) for page in pages}
    return f"""<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">
<title>{escape(title)}</title>{links}<style>{STYLE.read_text()}</style>{"".join(map(str, scripts))}</head><body>
{title_page(title)}{contents(parts, articles)}{"".join(map(str, articles.values()))}</body></html>"""


# --- printing -----------------------------------------------------------------------------------------------------

NUMBERS = """(numbers) => document.querySelectorAll('.pages a').forEach(link => {
  link.querySelector('.number').textContent = numbers[link.hash.slice(1)];
})"""


def find_chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    asked = os.environ.get("CHROMIUM")
    names = [asked] if asked else ["chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    # Root, as in a container, has no user namespace for the sandbox; the pages are our own.
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*quiet, *sandbox, "--disable-gpu"])
        if int(browser.version.partition(".")[0]) < CHROMIUM:
            raise SystemExit(HOW)
        yield browser
        browser.close()


def first_pages(pdf: bytes, pages: list[str]) -> dict[str, int]:
    """The number of the printed page on which each page of the book begins."""
    reader = PdfReader(BytesIO(pdf))
    anchors = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    return {slug(page): (reader.get_destination_page_number(anchors[slug(page)]) or 0) + 1 for page in pages}


def printed(folder: Path, parts: Parts, title: str, browser: Browser) -> bytes:
    """The PDF of the book in a folder.

    Raises:
        SystemExit: where something would be cut off at the margin; it says what.
    """
    text = document(folder, parts, title)
    pages = [page for _, some in parts for page in some]

    def answer(route: Route) -> None:
        url = urlsplit(route.request.url)
        path = folder / unquote(url.path).lstrip("/")
        if route.request.url == SITE:
            route.fulfill(body=text, content_type="text/html; charset=utf-8")
        elif f"{url.scheme}://{url.netloc}/" == SITE and path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    tab = browser.new_page(viewport=ROOM, color_scheme="light")
    tab.route("**/*", answer)
    tab.emulate_media(media="print")
    tab.goto(SITE, wait_until="load")
    if wide := tab.evaluate(FIT.read_text(), ROOM):
        raise SystemExit("\n".join(["too wide for the printed page:", *wide[:20]]))
    numbers = first_pages(pdf_of(tab), pages)
    tab.evaluate(NUMBERS, numbers)
    pdf = pdf_of(tab)
    tab.close()
    return pdf


def pdf_of(tab: Page) -> bytes:
    return tab.pdf(prefer_css_page_size=True, print_background=True, tagged=True, outline=True)


def link(folder: Path, first: str, target: Path) -> None:
    """Have the book's first page lead to the PDF, below its title."""
    page = folder / f"{first}.html"
    text = re.sub(rf'\n<p class="{LINK}">.*?</p>', "", page.read_text(encoding="utf-8"))
    address = posixpath.relpath(target.relative_to(folder).as_posix(), posixpath.dirname(first))
    count, size = len(PdfReader(target).pages), target.stat().st_size / 2**20
    line = f'<p class="{LINK}"><a href="{address}">The whole book as a PDF</a> ({count} pages, {size:.0f} MB)</p>'
    page.write_text(text.replace("</h1>", f"</h1>\n{line}", 1), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optional", action="store_true", help="without a Chromium do nothing")
    optional = parser.parse_args().optional
    parts = toc()
    first = parts[0][1][0]
    if not (HTML / f"{first}.html").is_file():
        raise SystemExit("there is no rendered book; make one: make book")
    path = find_chromium()
    if path is None:
        if optional:
            print(f"No PDF of the book. {HOW}")
            return
        raise SystemExit(HOW)
    title = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]
    with chromium(path) as browser:
        (HTML / NAME).write_bytes(printed(HTML, parts, title, browser))
    link(HTML, first, HTML / NAME)
    print(f"The book as a PDF: {HTML / NAME}")


if __name__ == "__main__":
    main()
