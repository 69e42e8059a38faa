"""The project around the package: layers, sizes, what an import costs, and what contributors and citers read."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "laya_nb"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = 350  # a module that is longer is hard to read in one sitting


def load_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


# --- layers


def broken_imports(root: Path) -> str:
    """What import-linter says of the package in a checkout; empty where the contract is kept."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def test_imports_run_downward_only() -> None:
    assert broken_imports(ROOT) == ""


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("heads/laya.py", "from laya_nb.runs import Run", "laya_nb.heads is not allowed to import laya_nb.runs"),
        ("heads/base.py", "import laya_nb.backbones.mlp", "laya_nb.heads is not allowed to import laya_nb.backbones"),
        ("features/extract.py", "from laya_nb import training", "laya_nb.features is not allowed to import"),
        ("analysis/attention.py", "import laya_nb.features", "laya_nb.analysis is not allowed to import"),
        ("report/tables.py", "from laya_nb.statistics import compare", "laya_nb.report is not allowed to import"),
        ("support/files.py", "def later():\n    import laya_nb.data", "laya_nb.support is not allowed to import"),
        ("attic/__init__.py", "", "- laya_nb.attic"),
    ],
)
def test_a_planted_upward_import_is_seen(module: str, line: str, complaint: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "src" / "laya_nb" / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    assert complaint in broken_imports(tmp_path)


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: count for name, count in lengths.items() if count > LINES} == {}


def test_importing_the_package_imports_little_more_than_torch() -> None:
    heavy = ["scipy", "pandas", "sklearn", "torchvision", "matplotlib", "transformers", "timm", "statsmodels"]
    code = (
        "import sys; from laya_nb import LAYAHead, DepthClassifier, HiddenStates; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_users_get_type_hints() -> None:
    assert (PACKAGE / "py.typed").is_file()


# --- how to cite, what changed


SCHEMA = json.loads((ROOT / "tests" / "data" / "cff-schema-1.2.0.json").read_text())
CITATION = load_yaml("CITATION.cff")


def faults(citation: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(citation)]


def test_the_citation_file_is_valid() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert faults(CITATION) == []


@pytest.mark.parametrize(
    "damage", [{"authors": []}, {"license": "MIT licence"}, {"cff-version": "1.2"}, {"autors": []}, {"type": "book"}]
)
def test_an_invalid_citation_file_is_seen(damage: dict[str, Any]) -> None:
    assert faults(CITATION | damage)


def test_citation_and_changelog_agree_with_the_package() -> None:
    project = PYPROJECT["project"]
    assert CITATION["version"] == project["version"]
    assert CITATION["license"] == project["license"]
    assert CITATION["repository-code"] == project["urls"]["Repository"]
    assert [author["name"] for author in CITATION["authors"]] == [author["name"] for author in project["authors"]]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.M)
    assert sections[0] == ("Unreleased", "")
    assert all(date for _, date in sections[1:])
    assert f"[Unreleased]: {project['urls']['Repository']}/compare/" in changelog
    if project["version"] not in dict(sections):  # then it is the next one
        assert f"To be {project['version']}" in changelog


def test_the_books_own_entry_for_bibtex_is_that_of_the_citation_file() -> None:
    (entry,) = re.findall(r"```bibtex\n(.+?)```", (ROOT / "book" / "references.md").read_text(), re.S)
    fields = dict(re.findall(r"^  (\w+) = \{(.+)\},$", entry, re.M))
    assert fields == {
        "author": " and ".join(f"{{{author['name']}}}" for author in CITATION["authors"]),
        "title": CITATION["title"],
        "year": load_yaml("_config.yml")["copyright"],
        "version": CITATION["version"],
        "url": CITATION["repository-code"],
    }


# --- CI, hooks, templates


def test_ci_checks_every_supported_python_and_publishes_the_book() -> None:
    workflow = load_yaml(".github/workflows/ci.yml")
    check, publish = workflow["jobs"]["check"], workflow["jobs"]["publish"]
    minors = [int(python.split(".")[1]) for python in check["strategy"]["matrix"]["python"]]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PYPROJECT["project"]["requires-python"]).groups()  # type: ignore[union-attr]
    assert minors == list(range(int(low), int(high)))
    steps = check["steps"]
    setup = next(step for step in steps if step.get("uses", "").startswith("actions/setup-python@"))
    assert setup["with"]["python-version"] == "${{ matrix.python }}"
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[-1] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    upload = next(step for step in steps if step.get("uses", "").startswith("actions/upload-pages-artifact@"))
    assert upload["with"]["path"] == "_build/html"
    assert "refs/heads/main" in upload["if"]
    assert publish["needs"] == "check"
    assert "refs/heads/main" in publish["if"]
    assert any(step["uses"].startswith("actions/deploy-pages@") for step in publish["steps"])
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert workflow[True]["push"]["branches"] == ["main"]  # YAML reads the word `on` as true
    assert "pull_request" in workflow[True]


def test_hooks_run_what_is_here() -> None:
    (local,) = load_yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    entries = [hook["entry"].split() for hook in local["hooks"]]
    assert [entry[:2] for entry in entries] == [
        [".venv/bin/ruff", "check"],
        [".venv/bin/ruff", "format"],
        [".venv/bin/python", "tools/chapters.py"],
    ]
    for hook in local["hooks"]:
        assert hook["language"] == "system"
    assert entries[2][2] == "check"
    assert (ROOT / "tools" / "chapters.py").is_file()


@pytest.mark.parametrize("name", ["wrong_number", "bug", "question"])
def test_issue_templates_can_be_filled_in(name: str) -> None:
    template = load_yaml(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert template["name"]
    assert template["description"]
    fields = [item["id"] for item in template["body"]]
    assert len(set(fields)) == len(fields) > 0
    for item in template["body"]:
        assert item["type"] in ("input", "textarea")
        assert item["attributes"]["label"].endswith("?")
