"""What is written by a program: badges, set-up cells, lists of chapters, headlines, the checksums of results.

`front` writes all of it, `outdated` names the files in which it is no longer what it should be.
"""

import hashlib
import json
import re
import textwrap
import tomllib
from pathlib import Path

from chapter_files import BOOK, FINDINGS, FIRST, ROOT, SUMMARIES, chapter_names, title, toc

# What Colab installs and opens. A release sets it to its tag, "v0.2.0" for instance.
REF = "main"

SETUP = """\
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = {extras}, []

def version(requirement):
    try:
        return metadata.version(re.match(r"[\\w.-]+", requirement)[0])
    except metadata.PackageNotFoundError:
        return None

checkout = next((p for p in Path.cwd().resolve().parents if (p / "src" / "laya_nb").is_dir()), None)
if version("laya-nb"):
    needed = [r for r in metadata.requires("laya-nb") if re.search(f"extra == .({{'|'.join(extras)}})\\\\b", r)]
    missing = [r.partition(";")[0] for r in needed if not version(r)]
elif checkout is not None:
    sys.path.insert(0, str(checkout / "src"))
elif util.find_spec("laya_nb") is None:
    source = os.environ.get("LAYA_NB_SOURCE", "git+{repository}@{ref}")
    missing = [f"laya-nb[{{','.join(extras)}}] @ {{source}}"]
if missing:  # pip must leave the host's own torch and numpy alone
    keep = [f"{{p}}=={{version(p)}}\\n" for p in ("torch", "torchvision", "numpy") if version(p)]
    constraints = Path(tempfile.mkdtemp(), "constraints.txt")
    constraints.write_text("".join(keep))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, *missing]
    subprocess.run(pip, check=True)"""


def repository() -> str:
    """The repository's address, from the one place where it stands."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def setup_source(extras: list[str]) -> str:
    """The set-up cell of a chapter that uses these extras of the package."""
    return SETUP.format(repository=repository(), ref=REF, extras=json.dumps(extras))


def colab(name: str) -> str:
    slug = repository().removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{slug}/blob/{REF}/book/{name}.ipynb"


def badge(name: str) -> str:
    return f"[![Open in Colab](_static/open_in_colab.svg)]({colab(name)})"


def with_front(name: str, text: str) -> str:
    """A chapter's text with its badge and set-up cell as they should be.

    The badge takes the place of an older one, or of the line BADGE. The set-up cell is the one whose metadata name
    `extras`; whatever stands in it is replaced. Where there is no such line or cell, nothing changes.
    """
    text = re.sub(r"^# (BADGE|\[!\[Open in Colab.*)$", lambda _: f"# {badge(name)}", text, count=1, flags=re.M)
    return re.sub(
        r"^(# %%[^\n]* extras=(\[[^\n\]]*\])[^\n]*\n).*?(?=\n\n# %%|\Z)",
        lambda cell: cell[1] + setup_source(json.loads(cell[2])),
        text,
        count=1,
        flags=re.M | re.S,
    )


def with_region(path: Path, text: str, name: str, lines: list[str]) -> str:
    """Text whose part between <!-- name --> and <!-- /name --> is these lines, indented as the first marker is.

    Raises:
        SystemExit: where the markers are not there, each once; it names the file, `path`.
    """
    pattern = re.compile(rf"^([^\n]*)<!-- {name} -->\n.*?^\1<!-- /{name} -->$", re.M | re.S)
    new, times = pattern.subn(
        lambda found: "\n".join(
            (found[1] + line).rstrip() for line in [f"<!-- {name} -->", *lines, f"<!-- /{name} -->"]
        ),
        text,
    )
    if times != 1:
        raise SystemExit(f"{path}: <!-- {name} --> ... <!-- /{name} --> must stand there once, found {times} times")
    return new


def reading_list() -> list[str]:
    """What the introduction links to: every other page, by parts."""
    lines = []
    for caption, pages in toc()[1:]:
        lines += ["", f"**{caption}**", ""]
        for page in pages:
            ending = "ipynb" if (ROOT / f"{page}.py").is_file() else "md"
            lines.append(f"- [{title(page)}]({Path(page).name}.{ending})")
    return [*lines, ""]


def colab_links() -> list[str]:
    """README's list of chapters."""
    return [f"- [{title(f'book/{name}')}]({colab(name)})" for name in chapter_names() if name != FIRST]


def headlines() -> list[str]:
    """README's results: the headline of each chapter that has one."""
    lines = []
    for name in chapter_names():
        path = ROOT / FINDINGS / f"{name}.json"
        headline = json.loads(path.read_text())["headline"] if path.is_file() else None
        if headline:
            lines += textwrap.wrap(f"- {headline}", 120, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def checksums() -> str:
    """The checksums of published results and encoders: what an installed package downloads is compared with them."""
    folders = [ROOT / "data" / name for name in ("results", "encoders")]
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT / 'data').as_posix()}\n"
        for path in found
    )
    return "".join(lines)


def generated() -> dict[Path, str]:
    """Every file with a part that is written here, as it should be."""
    readme = ROOT / "README.md"
    text = with_region(readme, readme.read_text(), "chapters", colab_links())
    texts = {
        readme: with_region(readme, text, "headlines", headlines()),
        ROOT / FINDINGS / "order.json": json.dumps(
            [name for name in chapter_names() if name not in SUMMARIES], indent=1
        )
        + "\n",
        ROOT / "data" / "SHA256SUMS": checksums(),
    }
    for name in chapter_names():
        texts[BOOK / f"{name}.py"] = with_front(name, (BOOK / f"{name}.py").read_text())
    introduction = BOOK / f"{FIRST}.py"
    texts[introduction] = with_region(introduction, texts[introduction], "chapters", reading_list())
    return texts


def outdated() -> list[Path]:
    """The files in which a part written here is not as it should be."""
    return [path for path, text in generated().items() if not path.is_file() or path.read_text() != text]


def front() -> None:
    """Write every generated part anew where it is outdated."""
    texts = generated()
    for path in outdated():
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path])
        print(f"wrote {path.relative_to(ROOT)}")
