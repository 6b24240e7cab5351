"""The origin of a data set: the options and files it was built from, and their changes since."""

import collections
import csv
import dataclasses
import difflib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sst import atomic, files
from sst.config import AudioConfig, digest, from_dict, to_dict
from sst.data import splits
from sst.errors import UsageError
from sst.files import Sample, Survey
from sst.types import Skipped

FORMAT = 1  # of the records and this metadata


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a build, besides the folders of the library."""

    train_ratio: float = 0.9  # about this share of the sounds trains
    validation_packs: tuple[str, ...] = ()  # these packs validate, whatever the ratio says
    labels: str = "folder"  # "folder": the kind of sound is the folder's name; "none"
    sample_rate: int = 22_050  # Hz, of the clips
    clip_seconds: float = 2.0  # a longer sound is cut here
    timeout_s: float = 10.0  # for decoding one file

    def __post_init__(self) -> None:
        """Raises UsageError for a value that no data set can be built with."""
        splits.check_ratio(self.train_ratio)
        if self.labels not in ("folder", "none"):
            raise UsageError(f'labels={self.labels!r} should be "folder" or "none".')
        if self.timeout_s <= 0:
            raise UsageError(f"timeout_s={self.timeout_s!r} should be more than 0.")
        _ = self.audio  # refuses a rate or length that the transform cannot have

    @property
    def audio(self) -> AudioConfig:
        """Returns the transform at this rate."""
        return AudioConfig.at_rate(self.sample_rate, self.clip_seconds)


def parse_options(values: Mapping[str, Any]) -> Options:
    """Makes `Options` of a mapping. Raises UsageError for an unknown key or a bad value."""
    known = ["name", "sample_dirs", *(field.name for field in dataclasses.fields(Options))]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
            raise UsageError(f"--config has no key {key!r}; {hint}")
    return from_dict(Options, dict(values), "--config")


def make_request(sample_dirs: Sequence[str], options: Options, found: Survey, demo: bool) -> dict:
    """Returns the options and the state of the folders: equal requests make equal data sets.

    The demo's sounds are made by the program, so neither their place nor their file times matter.
    """
    kept = {k: v for k, v in to_dict(options).items() if k != "timeout_s"}
    packs = sorted(kept.pop("validation_packs"))
    if packs:  # without any, a data set of before they could be named is up to date
        kept["validation_packs"] = packs
    return {
        "format": FORMAT,
        "sample_dirs": [] if demo else [files.to_text(files.absolute(d)) for d in sample_dirs],
        **kept,
        "fingerprint": files.fingerprint(found.samples, mtimes=not demo),
    }


def fingerprint(request: Mapping[str, Any], version: Any) -> str:
    """Returns text that data sets share if the same sounds are in the same splits.

    Their place does not matter.

    Args:
        request: of `make_request`.
        version: of the builder, which may divide sounds otherwise than another one.
    """
    sides = {k: v for k, v in request.items() if k not in ("sample_dirs", "fingerprint")}
    return f"{request['fingerprint']}-{digest(sides)}-{version}"


def describe_difference(
    old: Mapping[str, Any], new: Mapping[str, Any], folder: Path, found: Survey
) -> str:
    """Describes what has changed since the data set in `folder` was built; "" for nothing."""
    for key in [*new, *old]:
        if key != "fingerprint" and old.get(key) != new.get(key):
            was, now = (json.dumps(request.get(key)) for request in (old, new))
            return f"it was built with {key}={was}, not {now}"
    if old.get("fingerprint") == new["fingerprint"]:
        return ""
    before = {row[0]: tuple(row[1:]) for row in _read_csv(folder / "files.csv")}
    after = {s.id: (str(s.size), str(s.mtime_ns)) for s in found.samples}
    counts = {
        "new": len(after.keys() - before.keys()),
        "gone": len(before.keys() - after.keys()),
        "changed": sum(before[i] != after[i] for i in before.keys() & after.keys()),
    }
    return "its folders have changed since it was built: " + ", ".join(
        f"{n:,} {what}" for what, n in counts.items() if n
    )


def estimate_bytes(samples: Iterable[Sample], audio: AudioConfig) -> int:
    """Estimates the bytes of disk that a build needs: the waiting records and the written ones."""
    longest = 2 * (audio.clip_samples + audio.n_frames * audio.n_mels)
    return 2 * sum(min(sample.size, longest) for sample in samples)


def write_lists(folder: Path, samples: Iterable[Sample], rejects: Iterable[Skipped]) -> None:
    """Writes `files.csv`, every file seen, and `skipped.csv`, those of no use and why."""
    rows = ((s.id, s.size, s.mtime_ns) for s in samples)
    _write_csv(folder / "files.csv", ("id", "size", "mtime_ns"), rows)
    skipped = ((r.path, r.reason, r.detail) for r in rejects)
    _write_csv(folder / "skipped.csv", ("path", "reason", "detail"), skipped)


def count_reasons(rejects: Iterable[Skipped]) -> dict[str, int]:
    """Counts the files that were skipped for each reason, the most frequent first."""
    return dict(collections.Counter(r.reason for r in rejects).most_common())


def summarise(metadata: Mapping[str, Any]) -> str:
    """Returns `train 1,744 / validation 194 sounds, split by folder; 1 skipped: 1 silent`."""
    counts, skipped = metadata["n_records"], metadata["skipped"]
    line = f"train {counts['train']:,} / validation {counts['validation']:,} sounds, "
    if metadata["split_by"] == "none":
        line = f"{counts['train']:,} sounds, too alike to divide: all of them train and validate"
    else:
        line += f"split by {metadata['split_by']}"
    if skipped:
        by_reason = ", ".join(f"{n:,} {reason}" for reason, n in skipped.items())
        line += f"; {sum(skipped.values()):,} skipped: {by_reason}"
    return line


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(header)
    writer.writerows(rows)
    atomic.write_text(path, table.getvalue())


def _read_csv(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))[1:]
