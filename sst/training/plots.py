"""Plots of a run, where matplotlib is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sst import atomic

MAX_TERMS = 6  # curves in the second panel, at most


def is_available() -> bool:
    """Tells whether matplotlib can be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw_loss_curves(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Draws training and validation loss, the validation terms and the learning rate over steps."""
    figure, axes = _figure(1, 3, (14, 4))
    steps = [row["step"] for row in rows]
    for name, label in (("train/loss", "training"), ("valid/loss", "validation")):
        axes[0, 0].plot(steps, [row[name] for row in rows], label=label, marker=".")
    terms = [key for key in rows[-1] if key.startswith("valid/") and key != "valid/loss"]
    for term in terms[:MAX_TERMS]:
        values = [row.get(term, np.nan) for row in rows]
        axes[0, 1].plot(steps, values, label=term.removeprefix("valid/"), marker=".")
    axes[0, 2].plot(steps, [row["lr"] for row in rows], marker=".")
    titles = ("loss (dB)", "validation terms", "learning rate")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    axes[0, 1].set_yscale("symlog", linthresh=0.1)
    axes[0, 2].set_yscale("log")
    axes[0, 0].legend()
    if terms:
        axes[0, 1].legend(fontsize="small")
    _save(figure, path)


def draw_reconstructions(
    originals: Sequence[np.ndarray],
    decoded: Sequence[np.ndarray],
    names: Sequence[str],
    floor_db: float,
    path: Path,
) -> None:
    """Draws log-mels [t, m] in dB: the originals above, the reconstructions below."""
    figure, axes = _figure(2, len(originals), (3.2 * len(originals), 5.5))
    for column, pair in enumerate(zip(originals, decoded, strict=True)):
        for row, image in enumerate(pair):
            axis = axes[row, column]
            shown = np.asarray(image, np.float32).T
            axis.imshow(shown, origin="lower", aspect="auto", vmin=floor_db, vmax=0, cmap="magma")
            axis.set_xticks([])
            axis.set_yticks([])
        axes[0, column].set_title(names[column][-28:], fontsize="small")
    axes[0, 0].set_ylabel("original")
    axes[1, 0].set_ylabel("reconstruction")
    _save(figure, path)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no screen, no global state
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="tight")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.draft(path) as fresh:
        figure.savefig(fresh, dpi=90)
