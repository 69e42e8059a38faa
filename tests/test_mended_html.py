"""What is mended in the HTML of others, and that nothing else is touched."""

import pytest
from mended_html import mended


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<th></th><th class="a">\n&nbsp;</th><th>a</th>', '<td></td><td class="a"></td><th>a</th>'),
        ("<td>0.3 [0.2, 0.4]</td>", '<td>0.3 <span class="interval">[0.2, 0.4]</span></td>'),
        ("<td>[0.2, 0.4]</td><td>a<b>c</b> [1]</td>", "<td>[0.2, 0.4]</td><td>a<b>c</b> [1]</td>"),
        ("<thead></thead>", "<thead></thead>"),
        ('<summary aria-label="Toggle hidden content">\n<p>Set-up</p>', "<summary>\n<p>Set-up</p>"),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
    ],
)
def test_mended(html: str, expected: str) -> None:
    assert mended(html) == expected
