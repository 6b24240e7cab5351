"""The architecture: each package imports only packages above it in this list, and lightly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = "atomic batching cache config errors files locks types"  # the modules directly in sst/
MAP = [
    "ground",  # errors, configuration, files, and the arrays that travel between packages
    "dsp",  # arrays -> arrays
    "audio",  # files <-> clips
    "search",  # vectors -> neighbours
    "model",  # the VAE and its file
    "data",  # records, splits, data sets
    "demo",  # the own synthesiser
    "inference",  # pure functions of a trained model
    "training",  # one run
    "library",  # a user's folder and its index
    "generation",  # recipes and new sounds
    "report",  # pages and tables
    "evaluation",  # figures of a model
    "tool",  # the session object
]
WITHOUT_JAX = {"ground", "audio", "search", "data", "demo", "library", "report"}
# Each costs a second or more, or is not there on every machine: imported where it is needed.
HEAVY = {"beam", "librosa", "matplotlib", "orbax", "scann", "sklearn", "tensorboard", "tensorflow"}
HEAVY |= {"apache_beam", "tensorflow_datasets"}
JAX = {"jax", "flax", "optax"}
PICKLES = {"pickle", "joblib", "dill", "marshal", "shelve", "cloudpickle"}
ABOVE_SST = {"pipelines", "experiments", "tfds_builders"}


def imports(tree: ast.AST) -> set[str]:
    """Dotted names of the imported modules; `from sst.audio import clip` counts as that module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


class _WithoutFunctions(ast.NodeTransformer):
    def visit_FunctionDef(self, node):
        return None


def module_level(path: Path) -> ast.AST:
    """What runs when the module is imported."""
    return _WithoutFunctions().visit(ast.parse(path.read_text()))


def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


def package_of(name: str) -> str:
    """The place on the map of a dotted name below sst."""
    first = name.split(".")[1]
    return "ground" if first in GROUND.split() else first


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def file_of(name: str) -> Path | None:
    """The file of a module of ours by its dotted name."""
    path = ROOT.joinpath(*name.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


MODULES = sorted(p for p in (ROOT / "sst").rglob("*.py") if dotted(p) != "sst")
ALL = [p for d in ("sst", "pipelines", "tfds_builders") for p in (ROOT / d).rglob("*.py")]


def test_the_map_is_the_territory():
    assert {package_of(dotted(p)) for p in MODULES} == set(MAP)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_package_imports_only_packages_above_it(path):
    own = package_of(dotted(path))
    names = imports(parsed(path))
    assert not {name for name in names if name.split(".")[0] in ABOVE_SST}
    imported = {package_of(name) for name in names if name.startswith("sst.")} - {own}
    below = imported & set(MAP[MAP.index(own) :])
    assert not below, f"{dotted(path)} is in {own} and imports {below}"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_heavy_libraries_are_imported_where_they_are_needed(path):
    level = {name.split(".")[0] for name in imports(module_level(path))}
    assert not level & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_what_starts_fast_does_not_reach_jax(path):
    if package_of(dotted(path)) not in WITHOUT_JAX:
        return
    seen, todo = set(), [path]
    while todo:
        file = todo.pop()
        seen.add(file)
        names = imports(module_level(file))
        assert not {n for n in names if n.split(".")[0] in JAX}, f"through {dotted(file)}"
        todo += {f for n in names if n.startswith("sst.") and (f := file_of(n))} - seen


def test_each_package_says_what_lives_there():
    for package in (p for p in (ROOT / "sst").rglob("*.py") if p.name == "__init__.py"):
        assert ast.get_docstring(parsed(package)), package


def test_searching_an_indexed_library_needs_no_jax():
    code = "import sys, sst.library.session, sst.files; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_sst_gives_its_packages_when_they_are_asked_for():
    code = """
import sys, sst
assert not {name.split(".")[0] for name in sys.modules} & {"numpy", "jax", "scipy"}
assert callable(sst.inference.load) and callable(sst.SoundSampleTool)
assert {"inference", "SoundSampleTool", "audio"} <= set(dir(sst))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", ALL, ids=dotted)
def test_nothing_unpickles_or_evaluates(path):
    tree = parsed(path)
    assert not {name.split(".")[0] for name in imports(tree)} & PICKLES
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    named = {n.func.id for n in calls if isinstance(n.func, ast.Name)}
    assert not named & {"eval", "exec"}
    keywords = [k for n in calls for k in n.keywords if k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in keywords)


@pytest.mark.parametrize("path", [p for p in ALL if ROOT / "sst" in p.parents], ids=dotted)
def test_sst_does_not_print(path):
    calls = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
    assert not [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
