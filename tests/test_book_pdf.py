"""The book as a PDF: everything of the pages is in it, and found where the contents say."""

import functools
import re
import unicodedata
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import book_pdf
import pytest
from bs4 import BeautifulSoup
from chapter_files import toc
from conftest import Book
from PIL import Image
from playwright.sync_api import Browser
from pypdf import PdfReader
from test_book import PAGES, broken_links
from test_browser import browser

__all__ = ["browser"]  # a fixture


class Printed:
    """The real book, printed; to read a page takes a third of a second, so each is read once and most are not."""

    def __init__(self, pdf: bytes) -> None:
        self.reader = PdfReader(BytesIO(pdf))
        self.begins = book_pdf.first_pages(pdf, PAGES)
        self.text = functools.cache(lambda number: self.reader.pages[number - 1].extract_text())


@pytest.fixture(scope="module")
def printed(book: Book, browser: Browser) -> Printed:
    return Printed(book_pdf.printed(book.html, toc(), "The book", browser))


def plain(text: str) -> str:
    """Text without ligatures, and without what depends on where lines end."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def test_contents_say_on_which_numbered_page_each_begins(book: Book, printed: Printed) -> None:
    assert "\n1\n" not in f"\n{printed.text(1)}\n"
    contents = plain(printed.text(2))
    for page in PAGES:
        heading = BeautifulSoup((book.html / f"{page}.html").read_text(), "html.parser").select_one("article h1")
        assert heading
        title, number = plain(heading.get_text().rstrip("#")), printed.begins[book_pdf.slug(page)]
        assert f"{title}{number}" in contents
        assert title in plain(printed.text(number))
        assert f"\n{number}\n" in f"\n{printed.text(number)}\n"


@pytest.mark.parametrize("page", ["book/intro", "book/mechanism", "book/pruning"])  # text, code, wide tables
def test_no_word_is_lost(book: Book, printed: Printed, page: str) -> None:
    following = PAGES[PAGES.index(page) + 1]
    numbers = range(printed.begins[book_pdf.slug(page)], printed.begins[book_pdf.slug(following)])
    text = plain("".join(map(printed.text, numbers)))
    article = book_pdf.article(book.html, page, PAGES)
    for unseen in article.select(".math, style, [hidden], .toctree-wrapper"):
        unseen.decompose()
    assert [word for word in article.get_text(" ").split() if plain(word) not in text] == []


def test_links_stay_in_the_document_or_lead_to_the_web(printed: Printed) -> None:
    inside = set()
    for page in printed.reader.pages:
        for note in (one.get_object() for one in page.get("/Annots", [])):
            if "/A" in note:
                assert str(note["/A"]["/URI"]).startswith("https://")
            else:
                inside.add(str(note["/Dest"]))
    assert len(inside) > len(PAGES)
    assert inside <= set(printed.reader.named_destinations)


# --- a book of two pages ------------------------------------------------------------------------------------------

FIRST = """<html><head></head><body><article class="bd-article"><h1>One<a class="headerlink" href="#a">#</a></h1>
<p id="a">See <a href="b.html#a">there</a>, <a href="b.html">all of it</a>, <a href="c.py">a file</a>.</p>
<details class="above-input"><summary>Set-up</summary>folded code</details>
<div class="laya-element"><div class="still"><img src="../dot.png" alt="A still picture"></div>
<div class="live" hidden>to play with</div><script>document.body.textContent = "played"</script></div>
{}</article></body></html>"""
SECOND = """<html><head></head><body><article class="bd-article"><h1>Two</h1>
<details class="sd-dropdown"><summary>Solutions</summary><p id="a">the solution</p></details></article></body></html>"""
PARTS = [("", ["book/a"]), ("A part", ["book/b"])]


def write_book(folder: Path, more: str = "") -> Path:
    (folder / "book").mkdir()
    (folder / "book" / "a.html").write_text(FIRST.format(more))
    (folder / "book" / "b.html").write_text(SECOND)
    Image.new("RGB", (40, 40)).save(folder / "dot.png")
    return folder


def test_a_small_book(browser: Browser, tmp_path: Path) -> None:
    reader = PdfReader(BytesIO(book_pdf.printed(write_book(tmp_path), PARTS, "A small book", browser)))
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) == 4  # title, contents, two pages
    assert "A small book" in texts[0]
    assert all(line in texts[1] for line in ("One 3", "A part", "Two 4"))
    assert "folded code" not in texts[2]
    assert "play" not in texts[2]
    assert "the solution" in texts[3]
    leads = [str(note.get_object()["/Dest"]) for note in reader.pages[2].get("/Annots", [])]
    places = [reader.get_destination_page_number(reader.named_destinations[name]) for name in leads]
    assert places == [3, 3]  # no link to the file, which is not in the PDF
    assert [entry.title for entry in reader.outline if not isinstance(entry, list)] == ["Contents", "One", "Two"]
    assert reader.metadata
    assert reader.metadata.title == "A small book"
    assert reader.root_object["/Lang"] == "en"
    assert "A still picture" in structure(reader)


def structure(reader: PdfReader) -> Iterator[object]:
    """What a tagged PDF says of its pictures to those who do not see them."""
    todo: list[Any] = [reader.root_object["/StructTreeRoot"]]
    while todo:
        part = todo.pop().get_object()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            yield part.get("/Alt")
            todo += [part["/K"]] if "/K" in part else []


def test_what_would_be_cut_off_is_refused(browser: Browser, tmp_path: Path) -> None:
    folder = write_book(tmp_path, '<div style="width: 900px">a plate</div>')
    with pytest.raises(SystemExit, match="book-a: div a plate"):
        book_pdf.printed(folder, PARTS, "A small book", browser)


def test_long_words_and_wide_tables_fit(browser: Browser, tmp_path: Path) -> None:
    cells = "".join(f"<td>a{n:02}</td>" for n in range(24))
    more = f"<p>{'long' * 60}</p><pre>{'code ' * 60}</pre><div class='cell_output'><table>{cells}</table></div>"
    reader = PdfReader(BytesIO(book_pdf.printed(write_book(tmp_path, more), PARTS, "A small book", browser)))
    text = plain(reader.pages[2].extract_text())
    assert all(word in text for word in ("long" * 60, "code" * 60, "a00", "a23"))


def test_the_first_page_links_to_it_once(browser: Browser, tmp_path: Path) -> None:
    target = write_book(tmp_path) / book_pdf.NAME
    target.write_bytes(book_pdf.printed(tmp_path, PARTS, "A small book", browser))
    page = tmp_path / "book" / "a.html"
    for _ in range(2):
        book_pdf.link(tmp_path, "book/a", target)
    assert page.read_text().count("The whole book as a PDF") == 1
    assert [url for url in broken_links(tmp_path, page) if "pdf" in url] == []
    assert "as a PDF" not in book_pdf.document(tmp_path, PARTS, "A small book")


def test_without_a_chromium(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = toc()[0][1][0]
    (tmp_path / first).parent.mkdir()
    (tmp_path / f"{first}.html").write_text(FIRST)
    monkeypatch.setattr(book_pdf, "HTML", tmp_path)
    monkeypatch.setenv("CHROMIUM", "/no/chromium/here")
    monkeypatch.setattr("sys.argv", ["book_pdf.py", "--optional"])
    book_pdf.main()
    assert "apt-get install chromium" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["book_pdf.py"])
    with pytest.raises(SystemExit, match="apt-get install chromium"):
        book_pdf.main()
