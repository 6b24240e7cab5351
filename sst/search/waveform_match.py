"""The one definition of a copy of a sound: by waveforms, whatever was done to the file.

Two files may hold one sound at another level, rate, polarity, number of channels or start, as MP3
or with noise under it. Their waveforms then agree once they are laid over each other, in every part
that one can hear; those of two hits of one drum do not. Nothing here needs a model. The builder,
the library, search, novelty and the evaluation all ask here.
"""

import collections
import functools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Int

from sst.config import AudioConfig
from sst.dsp import features
from sst.search import searcher
from sst.types import Clip, Wave

# Measured by experiments/benchmarks/duplicates.py.
SAME_LIKENESS = 0.94  # the likeness from which two sounds are one
MIN_COMMON_SHARE = 0.6  # of the energy of each must lie in the part that both have
MIN_CORRELATION = 0.6  # at first sight: with less, the waveforms are too different to look closer
START_S, START_BELOW_HZ = 0.4, 7_000.0  # of the sounds; copies at 16 kHz have these frequencies too
STEPS_PER_SAMPLE = 4  # steps per sample of the delays tried
FLOOR = 10 ** (-50 / 10)  # of the loudest cell: what is softer is noise to one of the two
LOUDNESS_EXPONENT = 0.25  # weight of a cell: its power to this, about as loud as it is
ABSENT_SHARE = 10 ** (-20 / 10)  # of the other's energy: above some frequency one has nothing
LEAST_BAND_HZ = 4_000.0  # a copy at a lower rate or bit rate has what lies below
TRANSITION = 0.92  # below this part of a limit, the filter that made it does nothing
# Copies are looked for among the nearest thumbnails only.
REACH_DB = 2.2  # between two of them
NEAREST = 3  # of each sound


Pair = tuple[int, int]  # two rows, the smaller one first
Waves = Callable[[Sequence[int]], Iterable[Wave]]  # rows -> their waves, in that order


def find_clusters(
    digests: Sequence[Hashable],
    thumbnails: Float[np.ndarray, "n c"],
    waves: Waves,
    sample_rate: int,
) -> list[int]:
    """Returns the first row with the same sound, for each row.

    Args:
        digests: [n] values that only equal clips share.
        thumbnails: [n, c] of `dsp.thumbnail`, in one transform.
        waves: called once, with the rows of all candidates, each once. What it gives is taken one
            by one, and only the waves of sounds that may be copies of each other are held.
        sample_rate: Hz, of the waves.
    """
    first: dict[Hashable, int] = {}
    rows = [first.setdefault(digest, row) for row, digest in enumerate(digests)]
    own = np.array(sorted(first.values()), int)
    near = [(int(own[i]), int(own[j])) for i, j in near_pairs(thumbnails[own])]
    parts = _components(near)
    coming = iter(waves([row for members, _ in parts for row in members]))
    copies = []
    for members, pairs in parts:
        held = dict(zip(members, coming, strict=False))
        same = (likeness(held[i], held[j], sample_rate) >= SAME_LIKENESS for i, j in pairs)
        copies += [pair for pair, is_copy in zip(pairs, same, strict=True) if is_copy]
    joined = dict(join_pairs(copies))
    return [joined.get(row, row) for row in rows]


def near_pairs(thumbnails: Float[np.ndarray, "n c"]) -> list[Pair]:
    """Finds the pairs of rows that may be copies, in order."""
    if len(thumbnails) < 2:
        return []
    rows, distances = searcher.build(thumbnails).search(thumbnails, NEAREST + 1)
    found = np.nonzero(distances <= REACH_DB)
    pairs = {(min(i, j), max(i, j)) for i, j in zip(found[0], rows[found], strict=True) if i != j}
    return sorted((int(i), int(j)) for i, j in pairs)


def join_pairs(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Yields (row, first row of its group) of every row in a group that these pairs make."""
    for members, _ in _components(pairs):
        yield from ((row, members[0]) for row in members)


def _components(pairs: Iterable[Pair]) -> list[tuple[list[int], list[Pair]]]:
    """Joins pairs to groups: the rows of each in order, and its pairs."""
    above: dict[int, int] = {}

    def root(row: int) -> int:
        while (parent := above.setdefault(row, row)) != row:
            above[row] = above[parent]
            row = parent
        return row

    pairs = list(pairs)
    for i, j in pairs:
        low, high = sorted((root(i), root(j)))
        above[high] = low
    parts: dict[int, list[Pair]] = collections.defaultdict(list)
    for pair in pairs:
        parts[root(pair[0])].append(pair)
    return [(sorted({row for pair in part for row in pair}), part) for part in parts.values()]


def same_sound(a: Clip, b: Clip, sample_rate: int) -> bool:
    """Tells whether two clips of one rate are one sound: `likeness` is `SAME_LIKENESS` or more."""
    return likeness(a.wave, b.wave, sample_rate) >= SAME_LIKENESS


def likeness(a: Wave, b: Float[np.ndarray, " m"], sample_rate: int) -> float:
    """Measures how much of what is audible in two sounds is one sound, from 0 to 1.

    They are laid over each other where their correlation is largest (either polarity), at one
    level. In each cell of a spectrogram, agreement is twice the common power over the sum of
    both, 1 only for equal level and phase. The result is its mean, weighted by loudness, over the
    part that both have and below the frequency from which one of them has nothing. It is 0 where
    that part holds less than `MIN_COMMON_SHARE` of the energy of either, and for silence.

    Args:
        a: [n] samples.
        b: [m] samples.
        sample_rate: Hz, of both.
    """
    aligned = _align(a, b) if _starts_correlate(a, b, sample_rate) else None
    if aligned is None:
        return 0.0
    audio = AudioConfig.at_rate(sample_rate)
    one, other = (scipy.fft.rfft(features.frames(part, audio), axis=-1) for part in aligned)
    powers = np.square(np.abs(one)), np.square(np.abs(other))
    top = _shared_bins(powers[0].sum(axis=0), powers[1].sum(axis=0), audio)
    gain = np.sqrt(powers[0][:, :top].sum() / powers[1][:, :top].sum())
    cells = gain * (one * np.conj(other)).real, powers[0] + gain**2 * powers[1]
    starts = _band_starts(audio)
    starts = starts[starts < top]
    shared, total = (np.add.reduceat(each[:, :top], starts, axis=1) for each in cells)
    audible = total > FLOOR * total.max()
    weight = total[audible] ** LOUDNESS_EXPONENT
    return max(0.0, float(weight @ (2.0 * shared[audible] / total[audible]) / weight.sum()))


def _starts_correlate(a: Wave, b: Float[np.ndarray, " m"], sample_rate: int) -> bool:
    """Tells whether the starts of two sounds correlate enough to compare them closely.

    Those of most pairs do not, which makes comparing all pairs fast.
    """
    longest = round(START_S * sample_rate)
    a, b = a[:longest], b[:longest]
    lags, norm = _overlaps(a, b)
    if not len(lags):
        return False
    n = scipy.fft.next_fast_len(len(a) + len(b), real=True)
    spectra = scipy.fft.rfft(a, n), scipy.fft.rfft(b, n)
    top = math.ceil(n * START_BELOW_HZ / sample_rate)
    shares = [_share_below(spectrum, top) for spectrum in spectra]
    low = scipy.fft.irfft((spectra[0] * np.conj(spectra[1]))[:top], n)
    return bool(
        np.max(np.abs(low[lags]) / norm) >= MIN_CORRELATION * math.sqrt(shares[0] * shares[1])
    )


def _align(
    a: Wave, b: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]] | None:
    """Aligns two sounds and returns the part that they have in common, of each.

    None where they have too little in common.
    """
    lags, norm = _overlaps(a, b)
    if not len(lags):
        return None
    n = scipy.fft.next_fast_len(len(a) + len(b), real=True)
    spectrum = scipy.fft.rfft(b, n)
    delay, sign = _estimate_delay(scipy.fft.rfft(a, n) * np.conj(spectrum), n, lags, norm)
    turn = np.exp(-2j * np.pi / n * delay * np.arange(len(spectrum))).astype(np.complex64)
    moved = sign * scipy.fft.irfft(spectrum * turn, n)
    start, end = max(0, math.ceil(delay)), min(len(a), math.floor(delay + len(b)))
    return (a[start:end], moved[start:end]) if start < end else None


def _overlaps(
    a: Wave, b: Float[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " l"], Float[np.ndarray, " l"]]:
    """Returns the delays, in samples, that leave enough in common, and the level of both there."""
    sums = [np.concatenate([[0.0], np.cumsum(np.square(w), dtype=np.float64)]) for w in (a, b)]
    lags = np.arange(1 - len(b), len(a))
    starts, ends = np.maximum(0, lags), np.minimum(len(a), lags + len(b))
    common = sums[0][ends] - sums[0][starts], sums[1][ends - lags] - sums[1][starts - lags]
    enough = [part > MIN_COMMON_SHARE * own[-1] for part, own in zip(common, sums, strict=True)]
    kept = np.flatnonzero(enough[0] & enough[1])
    return lags[kept], np.sqrt(common[0][kept] * common[1][kept])


def _estimate_delay(
    cross: Complex[np.ndarray, " f"],
    n: int,
    lags: Int[np.ndarray, " l"],
    norm: Float[np.ndarray, " l"],
) -> tuple[float, float]:
    """Finds the delay, in samples, with the largest correlation of the common parts, and its sign.

    The correlation is looked at between the samples too: that of a bright sound swings at nearly
    half the rate, and its largest sample may be whole swings beside its largest value.
    """
    correlation = STEPS_PER_SAMPLE * scipy.fft.irfft(cross, STEPS_PER_SAMPLE * n)
    steps = (STEPS_PER_SAMPLE * lags[:, None] + np.arange(STEPS_PER_SAMPLE)).ravel()
    found = correlation[steps] / np.repeat(norm, STEPS_PER_SAMPLE)
    best = int(np.argmax(np.abs(found)))
    step = int(steps[best])
    before, here, after = correlation[step - 1], correlation[step], correlation[step + 1]
    bend = before - 2.0 * here + after
    off = float(np.clip(0.5 * (before - after) / bend, -1.0, 1.0)) if bend else 0.0
    return (step + off) / STEPS_PER_SAMPLE, math.copysign(1.0, found[best])


def _share_below(spectrum: Complex[np.ndarray, " f"], top: int) -> float:
    """Returns the share of the energy that lies in the first `top` bins."""
    power = np.square(np.abs(spectrum))
    return float(power[:top].sum() / power.sum())


def _shared_bins(a: Float[np.ndarray, " f"], b: Float[np.ndarray, " f"], audio: AudioConfig) -> int:
    """Counts the bins from 0 Hz on that both have: all, or up to where a lower rate cuts one."""
    tails = [np.cumsum(power[::-1], dtype=np.float64)[::-1] for power in (a, b)]
    present = np.minimum(*tails) >= ABSENT_SHARE * np.maximum(*tails)
    limit = int(np.argmin(present))
    if present[limit] or limit * audio.sample_rate / audio.n_fft < LEAST_BAND_HZ:
        return len(a)  # what lacks more than that was filtered, and is another sound
    return int(TRANSITION * limit)


@functools.lru_cache(maxsize=8)
def _band_starts(audio: AudioConfig) -> np.ndarray:
    """Returns the first bins of the bands: octaves up to 3.2 kHz, then every 1.6 kHz."""
    edges = [0, 100, 200, 400, 800, 1600, *range(3200, audio.sample_rate // 2, 1600)]
    return np.unique(np.ceil(np.array(edges) * audio.n_fft / audio.sample_rate).astype(int))
