"""Every test sees two virtual CPU devices, so that data parallelism is real, and its own caches."""

import os
import sys

# Compiling is most of the time of small tests: without the backend's optimisations it is half.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=2",
        "--xla_backend_optimization_level=0",
    ]
)
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    os.environ["SST_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Modules share few of them, and together they take gigabytes."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory):
    """The demo library as files; `sst.demo.library.sounds` says what is true of each."""
    from sst.demo import library

    folder = tmp_path_factory.mktemp("demo") / "demo"
    library.write(folder)
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)
