"""SST, the Sound Sample Tool: makes new sounds and finds similar ones in one latent space.

`sst.SoundSampleTool` is the session for a Python prompt, `sst.inference` the pure functions behind
it. Both, and every package, are loaded when they are first asked for.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {"config", "errors", "files", "inference", "tool", "types"}
_PACKAGES = {"audio", "data", "demo", "dsp", "evaluation", "generation", "library", "model"}
_PACKAGES |= {"report", "search", "training"}


def __getattr__(name: str) -> Any:
    """Loads what is asked for, so that `import sst` stays instant."""
    if name == "SoundSampleTool":
        from sst.tool import SoundSampleTool

        return SoundSampleTool
    if name in _MODULES | _PACKAGES:
        return importlib.import_module(f"sst.{name}")
    raise AttributeError(f"module 'sst' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__version__", "__doc__", "SoundSampleTool"} | _MODULES | _PACKAGES)
