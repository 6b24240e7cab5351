"""Search results as a table, JSON, CSV, playlist, paths or copies."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.console.messages import printable
from pipelines.console.paths import relative_to_library
from sst import atomic
from sst.errors import ResourceError, UsageError
from sst.files import to_text
from sst.library import slices
from sst.library.hits import Hit


class Answer(NamedTuple):
    """The hits of one target."""

    target: str
    hits: list[Hit]


def text(answers: Sequence[Answer], format_: str, roots: Sequence[str] = ()) -> str:
    """Returns the answers in one of the formats; stray bytes of names are surrogate escapes."""
    writers: dict[str, Callable[[Sequence[Answer]], str]] = {
        "table": lambda a: _table(a, roots),
        "json": _json,
        "csv": _csv,
        "m3u": _m3u,
        "paths": lambda a: "".join(f"{hit.path}\n" for answer in a for hit in answer.hits),
    }
    return writers[format_](answers)


def copy(
    answers: Sequence[Answer], folder: Path, overwrite: bool, cut: frozenset[str]
) -> list[Path]:
    """Copies the hits as `01_0.93_Kick.wav` and writes `sst_results.json` beside them.

    With several targets each gets a folder of its own. Of the files in `cut` only the hit is
    copied, as a WAV file.

    Raises:
        UsageError: a copy exists already, or there is no place for the folder.
        ResourceError: the folder cannot be written.
        BadAudio: a file that is cut cannot be read any more.
    """
    if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"Cannot make the folder {to_text(folder)} there.")
    jobs = [
        job
        for answer in answers
        for job in _copies(answer, _folder_of(answer, answers, folder), cut)
    ]
    listing = folder / "sst_results.json"
    if not overwrite:
        for path in [listing, *(copy for _, copy in jobs)]:
            if path.exists():
                raise UsageError(f"{to_text(path)} exists already; --overwrite replaces it.")
    try:
        for hit, copy_ in jobs:
            _copy(hit, copy_, hit.path in cut)
        folder.mkdir(exist_ok=True)
        atomic.write_text(listing, _json(answers))
    except OSError as error:
        raise ResourceError(f"Cannot copy to {to_text(folder)}: {error.strerror}.") from error
    return [copy_ for _, copy_ in jobs]


def _copy(hit: Hit, target: Path, cut: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if cut:
        slices.write_slice(hit.path, slices.Slice(hit.onset_s, hit.end_s), target)
        return
    with atomic.draft(target) as fresh:
        shutil.copyfile(hit.path, fresh)


def _folder_of(answer: Answer, answers: Sequence[Answer], folder: Path) -> Path:
    if len(answers) == 1:
        return folder
    number = [other is answer for other in answers].index(True) + 1
    return folder / f"{number:02d}_{Path(answer.target).stem}"


def _copies(answer: Answer, folder: Path, cut: frozenset[str]) -> list[tuple[Hit, Path]]:
    jobs = []
    for rank, hit in enumerate(answer.hits, 1):
        head = f"{rank:02d}_{hit.similarity / 100:.2f}_"
        stem, suffix = os.path.splitext(os.path.basename(hit.path))
        suffix = ".wav" if hit.path in cut else suffix
        room = 255 - len(head) - len(os.fsencode(suffix))
        stem = os.fsdecode(os.fsencode(stem)[:room])
        jobs.append((hit, folder / f"{head}{stem}{suffix}"))
    return jobs


def _facts(rank: int, hit: Hit) -> dict[str, Any]:
    return {
        "rank": rank,
        "similarity": round(hit.similarity, 2),
        "distance": round(hit.distance, 6),
        "band": hit.band,
        "copies": hit.copies,
        "start_s": round(hit.onset_s, 4),
        "end_s": round(hit.end_s, 4),
        "path": hit.path,
    }


def _listed(answer: Answer) -> list[dict[str, Any]]:
    return [_facts(rank, hit) for rank, hit in enumerate(answer.hits, 1)]


def _json(answers: Sequence[Answer]) -> str:
    """Returns a list of hits; of {target, hits} where there are several targets."""
    if len(answers) == 1:
        return json.dumps(_listed(answers[0]), indent=1) + "\n"
    both = [{"target": answer.target, "hits": _listed(answer)} for answer in answers]
    return json.dumps(both, indent=1) + "\n"


def _csv(answers: Sequence[Answer]) -> str:
    out = io.StringIO()
    fields = ["rank", "similarity", "distance", "band", "copies", "start_s", "end_s", "path"]
    several = len(answers) > 1
    writer = csv.DictWriter(out, (["target"] if several else []) + fields, lineterminator="\n")
    writer.writeheader()
    for answer in answers:
        own = {"target": answer.target} if several else {}
        writer.writerows(own | facts for facts in _listed(answer))
    return out.getvalue()


def _m3u(answers: Sequence[Answer]) -> str:
    """Returns an extended M3U playlist in UTF-8."""
    lines = ["#EXTM3U"]
    for hit in (hit for answer in answers for hit in answer.hits):
        name = printable(os.path.basename(hit.path))
        lines += [f"#EXTINF:{max(1, round(hit.end_s - hit.onset_s))},{name}", _entry(hit.path)]
    return "\n".join(lines) + "\n"


def _entry(path: str) -> str:
    """Returns the path, as a file: address where a line of UTF-8 cannot hold it."""
    return path if printable(path) == path else Path(path).as_uri()


def _table(answers: Sequence[Answer], roots: Sequence[str]) -> str:
    lines: list[str] = []
    for answer in answers:
        if len(answers) > 1:
            lines.append(("\n" if lines else "") + printable(answer.target))
        lines.append(" #   similar   distance  how near    start  sound")
        for rank, hit in enumerate(answer.hits, 1):
            path = printable(relative_to_library(hit.path, roots))
            lines.append(
                f"{rank:2d}  {hit.similarity:6.1f} %  {hit.distance:9.4f}  {hit.band:10}"
                f" {hit.onset_s:6.2f}s  {path}{_more(hit.copies)}"
            )
    return "\n".join(lines) + "\n"


def _more(copies: int) -> str:
    return f"  (+{copies} {'copy' if copies == 1 else 'copies'})" if copies else ""
