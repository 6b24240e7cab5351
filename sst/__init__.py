"""SST, the Sound Sample Tool: makes new sounds and finds similar ones in one latent space."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Loads `sst.SoundSampleTool` when it is asked for, so that `import sst` stays instant."""
    if name == "SoundSampleTool":
        from sst.tool import SoundSampleTool

        return SoundSampleTool
    raise AttributeError(f"module 'sst' has no attribute {name!r}")
