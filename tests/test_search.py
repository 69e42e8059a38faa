"""Search: every term of the glossary is found by its name, and what is quoted of a page is readable."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from test_browser import LOOKS, browser, opened, site

__all__ = ["browser", "site"]  # fixtures

# Where the search page would lead for each query, best first; as it computes it, without waiting for excerpts.
FOUND = """queries => queries.map(query =>
  Search._performSearch(...Search._parseQuery(query)).reverse().map(result => result[0] + result[2]))"""


@pytest.fixture
def page(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, site, f"search.html?q={quote(request.param)}", LOOKS["light"]) as (page, _):
        page.wait_for_function("typeof Search !== 'undefined' && Search.hasIndex()")
        yield page


@pytest.mark.parametrize("page", ["TOST"], indirect=True)
def test_every_term_of_the_glossary_is_found_by_name(page: Page, browser: Browser, site: str) -> None:
    with opened(browser, site, "book/glossary.html", LOOKS["light"]) as (glossary, _):
        terms = glossary.eval_on_selector_all("dl.glossary dt", "all => all.map(dt => [dt.id, dt.firstChild.data])")
    assert len(terms) > 50
    found = page.evaluate(FOUND, [name.replace("\u2019", "'") for _, name in terms])
    first = {name: places[:3] for (_, name), places in zip(terms, found, strict=True)}
    assert {name for (anchor, name) in terms if f"book/glossary#{anchor}" not in first[name]} == set(), first
    assert page.evaluate(FOUND, ["zygote"]) == [[]]


@pytest.mark.parametrize("page", ["temperature", "hidden state"], indirect=True)
def test_what_is_quoted_has_no_tex(page: Page) -> None:
    page.wait_for_function("document.querySelectorAll('#search-results p.context').length >= 8")
    quoted = page.locator("#search-results").inner_text()
    assert len(quoted) > 500
    assert [mark for mark in ("\\(", "\\[", "\\tau", "\\alpha", "\\mathrm", "_{", "$") if mark in quoted] == []
