"""The rendered book, read as files: every chapter there, every link to something that exists, every image described."""

import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from chapter_front import REF
from conftest import ROOT, Book
from term_links import AMBIGUOUS

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text())
TOC: dict[str, Any] = yaml.safe_load((ROOT / "_toc.yml").read_text())
REPOSITORY: str = PROJECT["urls"]["Repository"]
OWNER_AND_NAME = urlsplit(REPOSITORY).path.strip("/")
BRANCH: str = CONFIG["repository"]["branch"]

PAGES: list[str] = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").exists()]


@functools.cache
def read(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(page: Path) -> set[str]:
    """What a link can lead to within a page."""
    soup = read(page)
    return {*attributes(soup, "[id]", "id"), *attributes(soup, "a[name]", "name")}


def attributes(soup: BeautifulSoup, selector: str, name: str) -> list[str]:
    return [str(tag.get(name, "")) for tag in soup.select(selector)]


def file_in_repository(url: str) -> str | None:
    """The file that a link into this repository means, its place in the checkout; None for any other link."""
    in_branch = rf"{re.escape(OWNER_AND_NAME)}/(?:blob|tree|raw|edit)/{BRANCH}/([^?#]+)"
    for pattern in (
        rf"https://github\.com/{in_branch}",
        rf"https://colab\.research\.google\.com/github/{in_branch}",
        rf"https://raw\.githubusercontent\.com/{re.escape(OWNER_AND_NAME)}/{BRANCH}/([^?#]+)",
        rf"https://mybinder\.org/v2/gh/{re.escape(OWNER_AND_NAME)}/{BRANCH}\?urlpath=(?:lab/)?tree/([^&#]+)",
    ):
        if match := re.fullmatch(rf"{pattern}(?:[?#].*)?", url):
            return unquote(match[1])
    return None


def broken_links(html: Path, page: Path) -> Iterator[str]:
    """Links and images of a page that lead to nothing, as far as the book and the checkout can tell."""
    soup = read(page)
    for url in attributes(soup, "a[href]", "href") + attributes(soup, "img[src]", "src"):
        parts = urlsplit(url)
        if (inside := file_in_repository(url)) is not None:
            if not (ROOT / inside).exists():
                yield url
        elif url.startswith("https://colab.research.google.com/github/") or "mybinder.org/v2/" in url:
            yield url  # a launch link that is not into this repository and branch
        elif parts.scheme in ("http", "https", "mailto", "data", "javascript"):
            continue
        else:
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            found = target.is_relative_to(html) and target.is_file()
            if found and parts.fragment and target.suffix == ".html":
                found = unquote(parts.fragment) in anchors(target)
            if not found:
                yield url


def undescribed(page: Path) -> Iterator[str]:
    """Images of a page's text without words that say what they show."""
    for image in read(page).select("article img, .bd-article img"):
        alt = str(image.get("alt", "")).strip()
        # What a chapter's code draws is a figure, and no figure is told in three words.
        drawn = isinstance(image.find_parent(class_="cell_output"), Tag)
        if not alt or re.search(r"\.(png|svg|jpe?g)$|^https?:|^_images/", alt) or (drawn and len(alt.split()) < 4):
            yield f"{image.get('src')}: alt text {alt!r}"


def weight(page: Path) -> int:
    """Bytes that a page brings with it: its text and its images. What all pages share is fetched once, not counted."""
    files = [src for src in attributes(read(page), "img[src]", "src") if not src.startswith("data:")]
    images = {(page.parent / unquote(src)).resolve() for src in files}
    return page.stat().st_size + sum(image.stat().st_size for image in images if image.is_file())


def test_builds_without_a_warning(book: Book) -> None:
    assert book.returncode == 0, book.log[-6000:]


@pytest.mark.parametrize("page", PAGES)
def test_page(book: Book, page: str) -> None:
    path = book.html / f"{page}.html"
    assert path.exists(), f"{page} stands in _toc.yml and was not rendered"
    assert (title := read(path).select_one("article h1"))
    assert title.get_text(strip=True)
    assert list(broken_links(book.html, path)) == []
    assert list(undescribed(path)) == []
    assert weight(path) <= 1_000_000


def test_weight_counts_each_image_once(tmp_path: Path) -> None:
    page, image = tmp_path / "page.html", tmp_path / "a.png"
    image.write_bytes(bytes(1000))
    page.write_text(
        '<img src="a.png" alt="a"><img src="./a.png" alt="b"><img src="https://example.invalid/c" alt="c">'
        f'<img src="data:image/png;base64,{"A" * 500}" alt="d">'
    )
    assert weight(page) == 1000 + page.stat().st_size


def test_first_page_is_the_way_in(book: Book) -> None:
    assert f"{TOC['root']}.html" in (book.html / "index.html").read_text()
    shown = attributes(read(book.html / f"{TOC['root']}.html"), "nav.bd-links a", "href")
    assert len(shown) == len(PAGES)


@pytest.mark.parametrize("page", [page for page in PAGES if page in NOTEBOOKS])
def test_chapter_opens_elsewhere_and_downloads(book: Book, page: str) -> None:
    soup = read(book.html / f"{page}.html")
    colab = f"https://colab.research.google.com/github/{OWNER_AND_NAME}/blob/{BRANCH}/{page}.ipynb"
    assert colab in attributes(soup, "article section a", "href"), "no Colab link in the chapter's text"
    buttons = attributes(soup, ".header-article-items a, .bd-header-article a", "href")
    assert colab in buttons
    assert any(file_in_repository(url) == f"{page}.ipynb" for url in buttons if "mybinder.org" in url)
    (download,) = attributes(soup, "a.btn-download-source-button", "href")
    served = (book.html / f"{page}.html").parent / download
    assert nbformat.reads(served.read_text(), as_version=4) == nbformat.read(ROOT / f"{page}.ipynb", as_version=4)


def test_there_are_chapters() -> None:
    written = [page for page in PAGES if (ROOT / f"{page}.py").exists()]
    assert len(written) > 1, "_toc.yml names no chapter"
    assert written == NOTEBOOKS


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_pages_show_the_number_that_sources_do_not(book: Book, page: str) -> None:
    """Counted through all numbered parts; the introduction and reference pages have none."""
    parts = [part for part in TOC["parts"] if "numbered" in part]
    numbered = [chapter["file"] for part in parts for chapter in part["chapters"]]
    title = read(book.html / f"{page}.html").select_one("article h1")
    assert title
    shown = title.select_one(".section-number")
    number = f"{numbered.index(page) + 1}." if page in numbered else ""
    assert (shown.get_text(strip=True) if shown else "") == number


def test_one_address_everywhere() -> None:
    assert CONFIG["repository"]["url"] == REPOSITORY
    assert BRANCH == REF, "_config.yml's branch and tools/chapter_front.py's REF are one: a release sets both"
    for name in ("README.md", "_config.yml", *(f"{page}.md" for page in PAGES if page not in NOTEBOOKS)):
        urls = re.findall(r"https://[^\s)>\"'`]+", (ROOT / name).read_text())
        wrong = [url for url in urls if "laya-nb" in url and OWNER_AND_NAME not in url]
        assert wrong == [], f"{name} names another repository"


PLANTED = {
    "missing page": '<a href="nowhere.html">a</a>',
    "missing anchor": '<a href="#nowhere">a</a>',
    "missing file in the repository": f'<a href="{REPOSITORY}/blob/{BRANCH}/book/nowhere.ipynb">a</a>',
    "missing notebook on Colab": '<a href="https://colab.research.google.com/github/'
    f'{OWNER_AND_NAME}/blob/{BRANCH}/book/nowhere.ipynb">a</a>',
    "another repository on Colab": '<a href="https://colab.research.google.com/github/a/b/blob/main/c.ipynb">a</a>',
    "another branch on Binder": f'<a href="https://mybinder.org/v2/gh/{OWNER_AND_NAME}/old?urlpath=lab/tree/a">a</a>',
    "missing image": '<img src="nowhere.png" alt="Four lines that cross each other">',
}


@pytest.mark.parametrize("what", PLANTED)
def test_planted_dead_link_is_seen(tmp_path: Path, what: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<h1 id="here">A</h1><a href="#here">b</a><a href="{REPOSITORY}/issues">c</a>{PLANTED[what]}')
    assert len(list(broken_links(tmp_path, page))) == 1


@pytest.mark.parametrize("alt", ["", "../_images/ab12.png", "output", "A figure"])
def test_planted_poor_alt_text_is_seen(tmp_path: Path, alt: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<article><div class="cell_output"><img src="a.png" alt="{alt}"></div></article>')
    assert len(list(undescribed(page))) == 1


def test_the_first_use_of_every_term_leads_to_the_glossary(book: Book) -> None:
    glossary = read(book.html / "book" / "glossary.html")
    terms = {str(term["id"]): term.get_text(strip=True).rstrip("#") for term in glossary.select("dt[id^=term-]")}
    assert len(terms) > 40
    linked = [attributes(read(book.html / f"{page}.html"), "article a.term", "href") for page in PAGES]
    used = {link.partition("#")[2] for links in linked for link in links}
    assert len(used) > 0.7 * len(terms)  # the others the book says in other words, or they are AMBIGUOUS
    assert not {name for anchor, name in terms.items() if anchor in used} & AMBIGUOUS
    assert used <= set(terms)
    assert all(len(links) == len(set(links)) for links in linked)
    assert max(map(len, linked)) > 10


def test_references_stand_in_the_order_of_their_authors(book: Book) -> None:
    """They are cited by author and year, and so looked for."""
    entries = read(book.html / "book" / "references.html").select(".citation p")
    texts = [entry.get_text().replace("\N{NO-BREAK SPACE}", " ") for entry in entries]
    first = [re.split(r", | and |(?<! [A-Z])\. ", text)[0] for text in texts]
    surnames = [re.sub(r"^.*? (?=([a-z]+ )*\S+$)", "", author).lower() for author in first]
    assert len(surnames) > 20
    assert surnames == sorted(surnames)
