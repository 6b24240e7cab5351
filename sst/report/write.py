"""The files of a report: report.json and index.html."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sst import atomic
from sst.config import AudioConfig
from sst.errors import ResourceError, UsageError
from sst.report.media import Exhibit
from sst.report.page import render_page


def check_place(directory: str | os.PathLike[str]) -> None:
    """Refuses a folder that holds something else than an older report.

    Raises:
        UsageError: it does, or it is a file.
    """
    target = Path(directory)
    if target.is_file():
        raise UsageError(f"--out {target} is a file; give a folder.")
    if target.is_dir() and any(target.iterdir()) and not (target / "report.json").is_file():
        raise UsageError(f"--out {target} holds other files; give another folder.")


def write(
    directory: str | os.PathLike[str],
    report: dict[str, Any],
    exhibits: Sequence[Exhibit],
    audio: AudioConfig,
) -> tuple[Path, Path]:
    """Writes report.json and index.html; each is the old or the new one at every moment.

    Args:
        directory: made if it is not there.
        report: plain nested values, none of them inf or nan.
        exhibits: sounds for the page.
        audio: of the model.

    Returns:
        Both paths.

    Raises:
        ResourceError: if they cannot be written.
        ValueError: for a value that JSON does not know.
    """
    target = Path(directory)
    figures, index = target / "report.json", target / "index.html"
    check_finite(report)
    text = render_page(report, exhibits, audio)
    try:
        target.mkdir(parents=True, exist_ok=True)
        atomic.write_json(figures, report)
        atomic.write_text(index, text)
    except OSError as error:
        raise ResourceError(f"Cannot write the report to {target}: {error.strerror}.") from error
    return figures, index


def check_finite(value: Any, where: str = "report") -> None:
    """Raises ValueError, naming the place, for inf and nan, which JSON does not have."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_finite(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            check_finite(inner, f"{where}[{i}]")
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{where} is {value}")
