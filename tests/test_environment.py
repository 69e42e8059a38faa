"""pyproject.toml, environment.yml and requirements.lock say the same about what to install."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENT = (ROOT / "environment.yml").read_text()
LOCK = (ROOT / "requirements.lock").read_text()

# What conda-forge calls otherwise. The "-base" packages leave out GUI toolkits and what others already name.
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "seaborn": "seaborn-base",
    "huggingface-hub": "huggingface_hub",
}
FROM_PIP = {"torchtext"}  # conda-forge's builds of the archived package are tied to an old PyTorch
CPU_BUILDS = {"pytorch", "torchvision"}  # conda-forge builds these for CUDA, too
PYTHONS = ["3.11", "3.12", "3.13"]


def readers_needs() -> Iterator[Requirement]:
    """What a reader needs to run chapters and build the book; not the test tools."""
    project = PYPROJECT["project"]
    yield Requirement(f"python{project['requires-python']}")
    lists = [project["dependencies"], project["optional-dependencies"]["chapters"]]
    lists += [PYPROJECT["dependency-groups"][group] for group in ("notebooks", "book")]
    for texts in lists:
        yield from map(Requirement, texts)


def drift(environment: str) -> list[str]:
    """How the text of an environment.yml differs from pyproject.toml."""
    parsed = yaml.safe_load(environment)
    specs: dict[str, MatchSpec] = {}
    pip: list[str] = []
    for entry in parsed["dependencies"]:
        if isinstance(entry, dict):
            pip += entry["pip"]
        else:
            spec = MatchSpec(entry, strict=True)
            specs[entry.split()[0]] = spec
    found = []
    if parsed["channels"] != ["conda-forge", "nodefaults"]:
        found.append(f"channels are {parsed['channels']}")
    needs = list(readers_needs())
    wanted = ["-e .", *(str(need) for need in needs if need.name in FROM_PIP)]
    if pip != wanted or specs.pop("pip", None) is None:
        found.append(f"pip should install the checkout and {sorted(FROM_PIP)}, it is asked for {pip}")
    for need in (need for need in needs if need.name not in FROM_PIP):
        name = CONDA_NAMES.get(need.name, need.name)
        match = specs.pop(name, None)
        if match is None:
            found.append(f"{name} is missing")
        elif SpecifierSet(str(match.version or "")) != need.specifier:
            found.append(f"{name} is {match.version} here and {need.specifier} in pyproject.toml")
        elif name in CPU_BUILDS and match.build != "cpu*":
            found.append(f"{name} does not ask for a CPU build")
    return found + [f"{name} is not in pyproject.toml" for name in specs]


def test_conda_and_pip_install_the_same() -> None:
    assert drift(ENVIRONMENT) == []


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("  - scipy >=1.13,<2\n", "", "scipy is missing"),
        ("  - pip\n", "  - pip\n  - polars >=1\n", "polars is not in pyproject.toml"),
        ("pandas >=2.2,<4", "pandas >=2.2,<3", "pandas is"),
        ("pandas >=2.2,<4", "pandas", "pandas is None"),
        ("python >=3.11,<3.14", "python >=3.12,<3.14", "python is"),
        ("pytorch >=2.6,<3 cpu*", "pytorch >=2.6,<3", "pytorch does not ask for a CPU build"),
        ("      - -e .\n", "      - laya-nb\n", "pip should install the checkout"),
        ("  - nodefaults\n", "  - defaults\n", "channels are"),
    ],
)
def test_planted_drift_is_seen(before: str, after: str, complaint: str) -> None:
    assert before in ENVIRONMENT
    assert [text for text in drift(ENVIRONMENT.replace(before, after)) if text.startswith(complaint)]


def pins(lock: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in lock.splitlines():
        if line and not line.startswith((" ", "#", "-")):
            pin = Requirement(line.removesuffix("\\").strip())
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def unmet(lock: str) -> list[str]:
    """What pyproject.toml asks for and the lock does not give, for each Python."""
    project = PYPROJECT["project"]
    texts = list(project["dependencies"])
    for more in (*project["optional-dependencies"].values(), *PYPROJECT["dependency-groups"].values()):
        texts += more
    locked = pins(lock)
    found = []
    for need in map(Requirement, texts):
        for python in PYTHONS:
            where = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
            chosen = [
                str(pin.specifier).removeprefix("==")
                for pin in locked.get(canonicalize_name(need.name), [])
                if pin.marker is None or pin.marker.evaluate(where)
            ]
            if len(chosen) != 1 or not need.specifier.contains(Version(chosen[0]), prereleases=True):
                found.append(f"{need} on Python {python}: locked {chosen}")
    return found


def test_lock_satisfies_the_ranges() -> None:
    supported = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert [minor for minor in range(8, 20) if f"3.{minor}" in supported] == [int(p.split(".")[1]) for p in PYTHONS]
    assert unmet(LOCK) == []


def test_a_lock_that_fell_behind_is_seen() -> None:
    pin = next(line for line in LOCK.splitlines() if line.startswith("torch=="))
    assert unmet(LOCK.replace(pin, "torch==2.5.1 \\"))
    assert unmet(LOCK.replace(pin, ""))
