"""Known sounds: the oracle of the tests."""

from pathlib import Path

import numpy as np
import soundfile as sf


def tone(hz: float, sample_rate: int, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def chirp(start_hz: float, end_hz: float, sample_rate: int, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * (start_hz * t + (end_hz - start_hz) * t**2 / (2 * seconds))
    return (0.5 * np.sin(phase)).astype(np.float32)


def kick(sample_rate: int, rng: np.random.Generator, seconds: float = 0.4) -> np.ndarray:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    base, drop = rng.uniform(40, 65), rng.uniform(80, 250)
    phase = 2 * np.pi * (base * t - drop / 30 * (np.exp(-30 * t) - 1))
    return (0.9 * np.sin(phase) * np.exp(-t * rng.uniform(8, 16))).astype(np.float32)


def snare(sample_rate: int, rng: np.random.Generator, seconds: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    body = np.sin(2 * np.pi * rng.uniform(160, 240) * t) * np.exp(-t * 25)
    noise = rng.standard_normal(len(t)) * np.exp(-t * rng.uniform(12, 25))
    return (0.4 * body + 0.2 * noise).astype(np.float32)


def hat(sample_rate: int, rng: np.random.Generator, seconds: float = 0.12) -> np.ndarray:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.diff(rng.standard_normal(len(t) + 1), prepend=0.0)[1:]
    return (0.2 * noise * np.exp(-t * rng.uniform(30, 80))).astype(np.float32)


def cymbal(sample_rate: int, rng: np.random.Generator, seconds: float = 2.5) -> np.ndarray:
    """Forty partials that beat against each other, and noise: what onset detectors stumble over."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    hertz = rng.uniform(300, min(9000, 0.4 * sample_rate), 40)
    partials = np.sin(2 * np.pi * hertz[:, None] * t + rng.uniform(0, 6, (40, 1))).sum(axis=0)
    noise = rng.standard_normal(len(t))
    wave = (partials / 10 + noise / 4) * np.exp(-t * 4 / seconds)
    return (0.3 * wave).astype(np.float32)


def sequence(
    times: list[float], sample_rate: int, seed: int = 0, seconds: float | None = None
) -> np.ndarray:
    """Kicks, snares and hats in turn, one starting at each time; their tails overlap."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round((seconds or times[-1] + 0.6) * sample_rate), np.float32)
    for i, time in enumerate(times):
        hit = list(KINDS.values())[i % len(KINDS)](sample_rate, rng)
        start = round(time * sample_rate)
        wave[start : start + len(hit)] += hit[: len(wave) - start]
    return wave


def strongest_hz(wave: np.ndarray, sample_rate: int) -> float:
    """The frequency of the strongest line, by a long windowed transform and a parabola on it."""
    middle = wave[len(wave) // 8 : -len(wave) // 8]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 19))
    peak = int(np.argmax(spectrum))
    a, b, c = np.log(spectrum[peak - 1 : peak + 2])
    return (peak + 0.5 * (a - c) / (a - 2 * b + c)) * sample_rate / (1 << 19)


KINDS = {"kick": kick, "snare": snare, "hat": hat}


def write_library(root: Path, per_kind: int = 4, packs: int = 3, sample_rate: int = 22_050) -> Path:
    """`root/pack{i}/{kind}/{kind}{j}.wav`, all different, the same on every call."""
    rng = np.random.default_rng(0)
    for pack in range(packs):
        for kind, make in KINDS.items():
            folder = root / f"pack{pack}" / kind
            folder.mkdir(parents=True)
            for j in range(per_kind):
                sf.write(folder / f"{kind}{j}.wav", make(sample_rate, rng), sample_rate)
    return root
