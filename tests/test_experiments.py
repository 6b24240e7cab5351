"""Every script in experiments/ starts: its imports are right, and it says how it is used."""

import os
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "experiments").rglob("*.py"))
EXTRAS = {"faiss", "hnswlib", "threadpoolctl", "usearch"}  # of `pip install -e .[bench]`


@pytest.fixture
def as_before(monkeypatch):
    """Undoes what a script changes for its own process."""
    environment, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    yield monkeypatch
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    for name in ("search", "sample_library"):
        if name not in modules:
            sys.modules.pop(name, None)


def started(path: Path) -> dict:
    try:
        return runpy.run_path(str(path), run_name="started")
    except ModuleNotFoundError as error:
        if error.name in EXTRAS:
            pytest.skip(f"{error.name} is not installed")
        raise


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_starts_and_helps(path, as_before, capsys):
    as_before.syspath_prepend(str(path.parent))  # as `python FILE` does
    names = started(path)
    assert names["__doc__"]
    if "argparse" in names:
        as_before.setattr(sys, "argv", [path.name, "--help"])
        with pytest.raises(SystemExit) as ended:
            names["main"]()
        assert ended.value.code == 0 and "usage:" in capsys.readouterr().out
    else:
        assert "main" in names or "get_config" in names
