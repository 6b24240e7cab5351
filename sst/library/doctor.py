"""Faults of a library: files that are broken, faulty, in the wrong folder or out of place.

Nothing is changed; every finding says what a person could do.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sst import files
from sst.audio.decode_pool import decode_many
from sst.config import AudioConfig
from sst.library.rows import Rows
from sst.search import searcher
from sst.types import Progress, Skipped

# Measured by experiments/benchmarks/doctor.py.
VOTERS = 10  # the nearest sounds, of other packs where there are some
FEWEST_VOTERS = 5
OWN_SHARE, OTHER_SHARE = 0.0, 0.9  # of the votes: at most for its own folder, at least for another
LOOKED_AT = 100  # of the nearest, to find voters of other packs among
FEWEST_OF_LABEL = 5
NEIGHBOUR = 5  # the distance to this one says how far away a sound is
FAR, FARTHEST = 2.0, 0.02  # times what is usual, and at most this share of all sounds
FEWEST_SOUNDS = 20  # in a library, to say what is far in it

ADVICE = {
    "broken": "get it again, or delete it",
    "unsupported": "convert it to WAV or FLAC",
    "truncated": "get it again: a part of the file is missing",
    "silent": "delete it",
    "clipped": "look for a source that is not overloaded",
    "offset": "filter out what is below 20 Hz",
    "cut_off": "fade out its end, unless it is a loop",
    "wrong_suffix": "give it the suffix of what is inside",
    "mislabelled": "listen: it may belong into another folder",
    "outlier": "listen: nothing else here sounds like it",
}


class Finding(NamedTuple):
    """One thing that is wrong with one file."""

    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    fault: str  # a key of ADVICE
    detail: str
    advice: str


def examine(
    samples: Sequence[files.Sample],
    rows: Rows,
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[Finding]:
    """Finds all faults, sorted by path.

    Args:
        samples: the files of the library.
        rows: its index, for what is compared with other sounds.
        progress: called while files are decoded.
        workers: decoding processes.
    """
    found = [
        *_find_waveform_faults(samples, progress, workers),
        *_find_odd_neighbours(samples, rows),
    ]
    order = list(ADVICE)
    return sorted(found, key=lambda finding: (finding.path, order.index(finding.fault)))


def find_mislabelled(
    vectors: Float[np.ndarray, "n d"],
    labels: Sequence[str],
    packs: Sequence[str],
    digests: Sequence[str],
) -> list[tuple[int, str, int, int]]:
    """Finds sounds whose neighbours are of another kind.

    The nearest sounds vote, of other packs where there are three or more packs; equal ones do
    not. Only kinds that the library has a few of are tested.

    Args:
        vectors: search vectors.
        labels: the kind of each, "" for none.
        packs: the pack of each, "" for none.
        digests: equal for equal sounds.

    Returns:
        (row, other label, votes for it, voters) of each.
    """
    if len(vectors) < 2:
        return []
    counts, apart = Counter(labels), len(set(packs)) > 2
    near, _ = searcher.build(vectors).search(vectors, LOOKED_AT)
    found = []
    for row, others in enumerate(near):
        if not labels[row] or counts[labels[row]] < FEWEST_OF_LABEL:
            continue
        voters = [
            labels[other]
            for other in others
            if other != row
            and digests[other] != digests[row]
            and labels[other]
            and not (apart and packs[other] == packs[row])
        ][:VOTERS]
        votes = Counter(voters)
        if len(voters) < FEWEST_VOTERS or votes[labels[row]] > OWN_SHARE * len(voters):
            continue
        label, most = votes.most_common(1)[0]
        if most >= OTHER_SHARE * len(voters):
            found.append((row, label, most, len(voters)))
    return found


def find_outliers(vectors: Float[np.ndarray, "n d"]) -> list[tuple[int, float]]:
    """Finds the sounds that are far from all others.

    A sound is far if its fifth neighbour is at `FAR` times the median distance or more; where many
    are, only the farthest count.

    Returns:
        (row, distance of the fifth neighbour in parts of the median) of each.
    """
    if len(vectors) < FEWEST_SOUNDS:
        return []
    _, distances = searcher.build(vectors).search(vectors, NEIGHBOUR + 1)
    times = distances[:, -1] / max(float(np.median(distances[:, -1])), 1e-6)
    rows = np.flatnonzero(times >= max(FAR, float(np.quantile(times, 1.0 - FARTHEST))))
    return [(int(row), float(times[row])) for row in rows]


def _find_waveform_faults(
    samples: Sequence[files.Sample], progress: Progress | None, workers: int | None
) -> Iterator[Finding]:
    """Decodes the files and yields what is wrong with each."""
    paths = [sample.path for sample in samples]
    broken = 0
    for done, sound in enumerate(
        decode_many(paths, AudioConfig(), workers, measure=("faults",)), 1
    ):
        path = os.fspath(sound.path)
        if isinstance(sound, Skipped):
            broken += 1
            known = sound.reason in ADVICE
            yield _finding(path, sound.reason if known else "broken", sound.detail)
        else:
            yield from (_finding(path, fault.name, fault.detail) for fault in sound.faults)
        if progress and (done % 64 == 0 or done == len(samples)):
            progress(done, len(samples), broken)


def _find_odd_neighbours(samples: Sequence[files.Sample], rows: Rows) -> Iterator[Finding]:
    """Yields the sounds that their neighbours show to be mislabelled or far from all others."""
    by_path = {os.fspath(sample.path): sample for sample in samples}
    known = [by_path.get(path) for path in rows.paths]
    labels = [sample.label if sample else "" for sample in known]
    packs = [files.pack_of(sample.id) if sample else "" for sample in known]
    for row, label, votes, voters in find_mislabelled(rows.vectors, labels, packs, rows.digests):
        detail = f"{votes} of the {voters} nearest sounds are {label}, it lies in {labels[row]}"
        yield _finding(rows.paths[row], "mislabelled", detail)
    for row, times in find_outliers(rows.vectors):
        detail = f"{times:.1f} times as far from other sounds as is usual here"
        yield _finding(rows.paths[row], "outlier", detail)


def _finding(path: str, fault: str, detail: str) -> Finding:
    return Finding(path, fault, detail, ADVICE[fault])
