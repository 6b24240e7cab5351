"""Machines: the style, voices and parameter ranges of a pack, given by hand or by a seed."""

import dataclasses
import hashlib
from collections.abc import Mapping

import numpy as np

from sst.demo import signals, voices
from sst.demo.signals import Wave

GOLDEN_RATIO = 0.618034
LIMITS_S = {"decay_s": (0.008, 1.1), "snap_s": (0.02, 0.6), "wires_s": (0.02, 0.6)}
ADJECTIVES = ("Amber", "Cobalt", "Copper", "Dusty", "Frozen", "Gentle", "Hollow", "Ivory", "Lunar")
NOUNS = ("Anvil", "Beacon", "Canal", "Dynamo", "Ferry", "Garden", "Island", "Kiosk", "Lantern")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """The effects of a machine, applied after the voice: tuning, saturation, sampler, room."""

    tune: float = 1.0  # factor of all pitches but those of tonal sounds
    decay: float = 1.0  # factor of all decay times
    treble_db: float = 0.0  # what lies above 1.5 kHz against what lies below
    drive: float = 0.0  # saturation of the whole sound; 0 is none
    bits: int = 0  # of the sampler; 0 is no sampler
    sampler_rate: int = 0  # Hz, of the sampler; 0 is that of the file
    room_s: float = 0.0  # time in which the room falls by 20 dB
    wet: float = 0.0  # share of the room; 0 is none
    attack_s: float = 0.0  # time in which the output opens
    width: float = 0.0  # 0 is mono, 1 wide stereo
    hiss_db: float = -120.0  # steady noise against the peak


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A drum machine: its name and seed, its style, its voices and its own parameter ranges."""

    name: str
    seed: int = 0
    style: Style = Style()
    voices: tuple[str, ...]
    # By "voice.parameter" or "parameter", in place of those of `voices.VOICES`.
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Returns the kinds of sound it has, in the order of `voices.KINDS`."""
        own = {voices.VOICES[name].kind for name in self.voices}
        return tuple(kind for kind in voices.KINDS if kind in own)

    def voices_of(self, kind: str) -> tuple[str, ...]:
        """Returns its voices of one kind."""
        return tuple(name for name in self.voices if voices.VOICES[name].kind == kind)


def seeded_generator(*words: object) -> np.random.Generator:
    """Returns a generator seeded by the hash of some words: the same on every computer."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def draw_parameters(machine: Machine, name: str, take: int) -> dict[str, float]:
    """Returns the parameters of one take of a voice: near the centre values of the machine.

    The pitches of toms, hand drums and tonal sounds are an exception: they vary over the whole
    range from take to take, tonal ones in semitones of A = 440 Hz.
    """
    voice = voices.VOICES[name]
    machine_rng = seeded_generator(machine.name, machine.seed, name)
    take_rng = seeded_generator(machine.name, machine.seed, name, take)
    drawn: dict[str, float] = {}
    for key, full in voice.ranges.items():
        low, high = machine.ranges.get(f"{name}.{key}") or machine.ranges.get(key) or full
        centre = machine_rng.uniform()
        position = float(np.clip(centre + take_rng.normal(0, 0.18), 0, 1))
        if key == "pitch_hz" and voice.kind in ("tom", "hand_drum", "tonal"):
            position = (centre + GOLDEN_RATIO * take) % 1.0
        drawn[key] = adjust(machine.style, voice.kind, key, low * (high / low) ** position)
    return drawn


def adjust(style: Style, kind: str, key: str, value: float) -> float:
    """Returns a parameter after the style's tuning and decay; tonal pitches become semitones."""
    if key == "pitch_hz" and kind == "tonal":
        return 440.0 * 2 ** (round(12 * np.log2(value / 440.0)) / 12)
    if key in ("pitch_hz", "tune_hz"):
        return value * style.tune
    if key in LIMITS_S:
        return float(np.clip(value * style.decay, *LIMITS_S[key]))
    return value


def make_sound(
    machine: Machine, name: str, take: int, *, rate: int, velocity: float = 1.0
) -> tuple[Wave, float]:
    """Returns a sound [n, channels] and its pitch in Hz, nan if it has none.

    It depends on the arguments only. Its peak is `velocity ** 1.5`; it lasts at most 2.5 s.
    """
    drawn = draw_parameters(machine, name, take)
    rng = seeded_generator(machine.name, machine.seed, name, take, velocity)
    style, voice = machine.style, voices.VOICES[name]
    width = {"width": style.width} if voice.stereo else {}
    own_rate = style.sampler_rate or rate
    wave = make_stroke(voice, rng, rate=own_rate, velocity=velocity, **drawn, **width)
    wave = apply_style(signals.normalise(wave), style, rng, own_rate, rate)
    if style.wet:
        response = signals.room(machine.seed, rate, style.room_s, wave.shape[1])
        wave = signals.reverberate(wave, response, style.wet)
    wave = signals.finish(wave[: signals.samples(2.5, rate)], rate)
    return wave * velocity**1.5, drawn.get("pitch_hz", float("nan"))


def make_stroke(
    voice: voices.Voice,
    rng: np.random.Generator,
    *,
    rate: int,
    velocity: float = 1.0,
    **parameters: float,
) -> Wave:
    """Returns one stroke of a voice without effects [n, channels]; soft ones have less treble."""
    wave = voice.make(rng, rate=rate, velocity=velocity, **parameters)
    if velocity < 1:
        wave = signals.lowpass(wave, rate, 900 * 22.0**velocity)
    return wave.reshape(len(wave), -1)


def apply_style(
    wave: Wave, style: Style, rng: np.random.Generator, own_rate: int, rate: int
) -> Wave:
    """Passes a wave of peak 1 through the machine's saturation, sampler, tone and width."""
    if style.drive:
        wave = signals.saturate(wave, style.drive, 0.15)
    if style.treble_db:
        wave = signals.tilt(wave, own_rate, style.treble_db)
    if style.attack_s:
        wave = signals.shape(wave, signals.decay(len(wave), own_rate, 1e6, style.attack_s))
    if style.hiss_db > -100:
        steady = signals.hiss(rng, len(wave), own_rate)[:, None]
        wave = wave + 10 ** (style.hiss_db / 20) * steady
    if style.bits:
        wave = signals.quantise(signals.normalise(wave), style.bits)
    if own_rate != rate:
        wave = signals.hold(wave, own_rate, rate)
    if style.width and wave.shape[1] == 1:
        wave = signals.widen(wave[:, 0], rng, rate, 0.6 * style.width)
    return wave


def random_machine(seed: int) -> Machine:
    """Returns a machine of random style and voices; the same seed gives the same machine."""
    rng = seeded_generator("machine", seed)
    chosen = []
    for kind in voices.KINDS:
        own = [name for name, voice in voices.VOICES.items() if voice.kind == kind]
        chosen += list(rng.permutation(own)[: 1 + (rng.uniform() < 0.4)])
    name = f"{rng.choice(ADJECTIVES)}-{rng.choice(NOUNS)}-{seed}"
    return Machine(name=name, seed=seed, style=random_style(rng), voices=tuple(map(str, chosen)))


def random_style(rng: np.random.Generator) -> Style:
    """Draws a style; half of all machines have a room, a third are early samplers."""
    sampler, room, driven = rng.uniform() < 0.3, rng.uniform() < 0.5, rng.uniform() < 0.5
    return Style(
        tune=float(np.exp(rng.normal(0, 0.12))),
        decay=float(np.exp(rng.normal(0, 0.3))),
        treble_db=float(rng.normal(0.5, 4)),
        drive=float(rng.uniform(0.8, 3)) if driven else 0.0,
        bits=int(rng.integers(8, 13)) if sampler else 0,
        sampler_rate=int(rng.choice([20_000, 22_050, 26_040, 32_000])) if sampler else 0,
        room_s=float(rng.uniform(0.04, 0.25)) if room else 0.0,
        wet=float(rng.uniform(0.03, 0.25)) if room else 0.0,
        width=float(rng.choice([0.0, 0.0, rng.uniform(0.3, 1)])),
        attack_s=float(np.exp(rng.uniform(np.log(2e-4), np.log(2.5e-3)))),
        hiss_db=float(rng.uniform(-70, -45) if sampler else rng.uniform(-90, -58)),
    )
