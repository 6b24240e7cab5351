"""The cache folder, and in it JAX's compiled programs: the next process loads them."""

import os
import warnings
from pathlib import Path


def cache_root() -> Path:
    """Returns the folder for what can be made again: SST_CACHE_DIR or the user's cache."""
    given = os.environ.get("SST_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("sst"))


def enable_cache(min_compile_seconds: float = 0.1) -> None:
    """Keeps compiled programs that took longer than this. Call it before the first compilation.

    A folder that cannot be written is no reason to stop: it warns and compiles anew.
    """
    import jax

    folder = cache_root() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable")
    except OSError as error:
        warnings.warn(f"Compiled programs are not kept: {error}", stacklevel=2)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", min_compile_seconds)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
