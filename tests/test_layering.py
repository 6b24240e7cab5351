"""The architecture: a module imports only from layers above it in this list, and lightly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"errors"},
    {"config", "scannindex", "types"},
    {
        "calibration",
        "compilation",
        "containers",
        "distributions",
        "envelopes",
        "features",
        "files",
        "intervals",
        "losses",
        "pitch",
        "plateau",
        "plots",
        "prior",
        "quantized",
        "retrieval",
        "runlog",
        "search",
        "segments",
        "speed",
        "splits",
        "workdir",
    },
    {"reading"},
    {
        "absence",
        "aspects",
        "audio",
        "augment",
        "companding",
        "data",
        "duplicates",
        "indexfile",
        "metrics",
        "modelfile",
        "nearness",
        "report",
        "train",
        "vocoder",
    },
    {"components", "faults", "novelty", "slices"},
    {"hits"},
    {"checkpoints", "indexrows", "model", "worker"},
    {"decoding"},
    {"baselines", "copies", "doctor", "encoding", "inference", "records"},
    {"library", "manifest", "publish", "recipe"},
    {"loop", "queries", "receipt"},
    {"similar"},
    {"evaluation", "fit", "tool"},
]
LAYER_OF = {module: i for i, layer in enumerate(LAYERS) for module in layer}
# Each costs a second or more, or is not there on every machine: imported where it is needed.
HEAVY = {"beam", "librosa", "matplotlib", "orbax", "scann", "sklearn", "tensorboard", "tensorflow"}
HEAVY |= {"apache_beam", "tensorflow_datasets"}
WITHOUT_JAX = ["config", "files", "audio", "decoding", "library", "search", "similar", "modelfile"]
WITHOUT_JAX += ["copies", "doctor"]
PICKLES = {"pickle", "joblib", "dill", "marshal", "shelve", "cloudpickle"}


def imports(tree: ast.AST) -> set[str]:
    """Dotted names of the imported modules; `from sst import a` counts as sst.a."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            own = node.module in ("sst", "pipelines")
            found |= {f"{node.module}.{a.name}" for a in node.names} if own else {node.module}
    return found


class _WithoutFunctions(ast.NodeTransformer):
    def visit_FunctionDef(self, node):
        return None


def module_level(path: Path) -> ast.AST:
    """What runs when the module is imported."""
    return _WithoutFunctions().visit(ast.parse(path.read_text()))


MODULES = sorted(p for p in (ROOT / "sst").rglob("*.py") if p.stem != "__init__")
ALL = [p for d in ("sst", "pipelines", "tfds_builders") for p in (ROOT / d).rglob("*.py")]


def unit(path: Path) -> str:
    """What has a layer: a module, or the package that it is in."""
    return path.relative_to(ROOT / "sst").with_suffix("").parts[0]


def test_every_module_has_a_layer_and_no_layer_names_a_ghost():
    assert {unit(p) for p in MODULES} == set(LAYER_OF)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_imports_go_down(path):
    names = imports(ast.parse(path.read_text()))
    assert not {
        n for n in names if n.split(".")[0] in ("pipelines", "experiments", "tfds_builders")
    }
    below = {n.split(".")[1] for n in names if n.startswith("sst.")}
    if path.parent.name != "sst":
        below.discard(unit(path))  # modules of one package may import each other
    too_high = {n for n in below if LAYER_OF.get(n, -1) >= LAYER_OF[unit(path)]}
    assert not too_high, f"{path.stem} imports {too_high}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_heavy_libraries_are_imported_where_they_are_needed(path):
    allowed = {"orbax"} if path.stem == "checkpoints" else set()  # only training imports it
    level = imports(module_level(path))
    assert not {name.split(".")[0] for name in level} & (HEAVY - allowed)


@pytest.mark.parametrize("stem", WITHOUT_JAX)
def test_what_starts_fast_does_not_reach_jax(stem):
    seen, todo = set(), [stem]
    while todo:
        names = imports(module_level(ROOT / "sst" / f"{todo.pop()}.py"))
        assert not {n for n in names if n.split(".")[0] in ("jax", "flax", "optax")}, f"via {seen}"
        found = {n.split(".")[1] for n in names if n.startswith("sst.")} & set(LAYER_OF)
        todo += sorted(found - seen)
        seen |= found


def test_searching_an_indexed_library_needs_no_jax():
    code = "import sys, sst.similar, sst.files; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_nothing_unpickles_or_evaluates(path):
    tree = ast.parse(path.read_text())
    assert not {name.split(".")[0] for name in imports(tree)} & PICKLES
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    named = {n.func.id for n in calls if isinstance(n.func, ast.Name)}
    assert not named & {"eval", "exec"}
    keywords = [k for n in calls for k in n.keywords if k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in keywords)


@pytest.mark.parametrize(
    "path", [p for p in ALL if ROOT / "sst" in p.parents], ids=lambda p: p.stem
)
def test_sst_does_not_print(path):
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    assert not [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
