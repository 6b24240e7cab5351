"""What is installed is what setup.cfg promises, and the promises are bounded."""

import configparser
import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def requirements(text: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


NEEDED = requirements(SETUP["options"]["install_requires"])
EXTRAS = [r for text in SETUP["options.extras_require"].values() for r in requirements(text)]


@pytest.mark.parametrize("requirement", NEEDED + EXTRAS, ids=lambda r: r.name)
def test_every_version_has_both_bounds(requirement):
    operators = {s.operator for s in requirement.specifier}
    assert "==" in operators or {">=", "<"} <= operators


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda r: r.name)
def test_the_installed_version_is_inside(requirement):
    if requirement.marker is None or requirement.marker.evaluate():
        assert importlib.metadata.version(requirement.name) in requirement.specifier


def test_tensorflow_is_the_series_that_scann_was_built_for():
    [built_for] = {
        str(Requirement(text).specifier)
        for text in importlib.metadata.requires("scann") or []
        if Requirement(text).name.startswith("tensorflow") and "extra" in text
    }
    series = re.search(r"2\.\d+", built_for).group()
    ours = {str(r.specifier) for r in NEEDED if r.name in ("tensorflow", "tensorflow-cpu")}
    assert ours == {f"=={series}.*"}


def test_the_version_is_said_once_and_the_same():
    import sst

    assert sst.__version__ == SETUP["metadata"]["version"]
    assert (ROOT / "CHANGELOG.md").read_text().count(f"## {sst.__version__} ") == 1
