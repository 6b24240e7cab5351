"""The list of all voices, with their kinds and the ranges of their parameters."""

from collections.abc import Callable
from typing import NamedTuple

from sst.demo import drums, metal, noises, snares, tonal
from sst.demo.signals import Wave

KINDS = (
    "kick",
    "snare",
    "rim",
    "clap",
    "hat_closed",
    "hat_open",
    "cymbal",
    "tom",
    "cowbell",
    "shaker",
    "hand_drum",
    "tonal",
)
AMOUNT = (0.15, 0.9)
Range = tuple[float, float]  # lowest and highest value of a parameter


class Voice(NamedTuple):
    """A function that makes sounds of one kind, and the range of each of its parameters."""

    kind: str
    make: Callable[..., Wave]
    ranges: dict[str, Range]

    @property
    def stereo(self) -> bool:
        """Tells whether the voice makes stereo itself."""
        return "width" in (self.make.__kwdefaults__ or {})


def _hat(make: Callable[..., Wave], kind: str, decay_s: Range, **ranges: Range) -> Voice:
    return Voice(kind, make, {"decay_s": decay_s, "hold": (0.05, 0.75), **ranges})


CLOSED, OPEN, LONG = (0.03, 0.12), (0.13, 0.5), (0.3, 1.1)
_SQUARES = {"tune_hz": (220, 520), "cut_hz": (4800, 12_000), "hiss": AMOUNT}
_RING = {"tune_hz": (2400, 5500), "hiss": AMOUNT}
_PLATES = {"tune_hz": (300, 700), "sizzle": AMOUNT, "bright": AMOUNT}
_STEAM = {"cut_hz": (4500, 8500), "high_hz": (9000, 16_000)}

VOICES: dict[str, Voice] = {
    "kick_sine": Voice(
        "kick",
        drums.kick_sine,
        {
            "pitch_hz": (38, 75),
            "decay_s": (0.07, 0.5),
            "bend": (2, 8),
            "bend_s": (0.006, 0.025),
            "click": (0.05, 0.9),
            "drive": (0.8, 3.0),
        },
    ),
    "kick_fm": Voice(
        "kick",
        drums.kick_fm,
        {
            "pitch_hz": (40, 80),
            "decay_s": (0.07, 0.4),
            "bend": (2, 7),
            "bend_s": (0.008, 0.035),
            "ratio": (0.7, 3.2),
            "index": (1, 5),
        },
    ),
    "kick_modes": Voice(
        "kick",
        drums.kick_modes,
        {"pitch_hz": (45, 85), "decay_s": (0.06, 0.25), "bright": AMOUNT, "beater": AMOUNT},
    ),
    "snare_analog": Voice(
        "snare",
        snares.snare_analog,
        {
            "tune_hz": (150, 260),
            "decay_s": (0.05, 0.16),
            "snappy": (0.25, 1.0),
            "snap_s": (0.07, 0.25),
            "bend": (1.1, 2.2),
        },
    ),
    "snare_modes": Voice(
        "snare",
        snares.snare_modes,
        {
            "tune_hz": (150, 260),
            "decay_s": (0.06, 0.2),
            "bright": AMOUNT,
            "wires": (0.25, 1.0),
            "wires_s": (0.07, 0.25),
        },
    ),
    "snare_gated": Voice(
        "snare",
        snares.snare_gated,
        {"tune_hz": (160, 240), "decay_s": (0.12, 0.3), "snappy": AMOUNT, "bright": AMOUNT},
    ),
    "snare_fm": Voice(
        "snare",
        snares.snare_fm,
        {"tune_hz": (160, 320), "decay_s": (0.08, 0.25), "index": (1, 5), "snappy": AMOUNT},
    ),
    "rim": Voice(
        "rim",
        snares.rim,
        {"tune_hz": (380, 1100), "decay_s": (0.01, 0.045), "click": AMOUNT, "spread": (2.5, 5)},
    ),
    "clave": Voice(
        "rim",
        snares.wood,
        {"pitch_hz": (1500, 2900), "decay_s": (0.02, 0.06), "hollow": (0.01, 0.1)},
    ),
    "wood_block": Voice(
        "rim", snares.wood, {"pitch_hz": (600, 1500), "decay_s": (0.015, 0.05), "hollow": AMOUNT}
    ),
    "clap": Voice(
        "clap",
        noises.clap,
        {
            "tune_hz": (900, 2300),
            "decay_s": (0.07, 0.22),
            "gap_s": (0.007, 0.013),
            "tail": (0.4, 0.95),
        },
    ),
    "clap_people": Voice(
        "clap",
        noises.clap_people,
        {
            "tune_hz": (1000, 2200),
            "decay_s": (0.07, 0.2),
            "people": (3, 8),
            "spread_s": (0.006, 0.016),
        },
    ),
    "closed_squares": _hat(metal.hat_squares, "hat_closed", CLOSED, **_SQUARES),
    "closed_ring": _hat(metal.hat_ring, "hat_closed", CLOSED, **_RING),
    "closed_modes": _hat(metal.hat_modes, "hat_closed", CLOSED, **_PLATES),
    "closed_noise": _hat(noises.hat_noise, "hat_closed", CLOSED, **_STEAM),
    "open_squares": _hat(metal.hat_squares, "hat_open", OPEN, **_SQUARES),
    "open_ring": _hat(metal.hat_ring, "hat_open", OPEN, **_RING),
    "open_modes": _hat(metal.hat_modes, "hat_open", OPEN, **_PLATES),
    "open_noise": _hat(noises.hat_noise, "hat_open", OPEN, **_STEAM),
    "crash": Voice(
        "cymbal",
        metal.crash,
        {"tune_hz": (250, 600), "decay_s": LONG, "bright": AMOUNT, "bloom_s": (0.004, 0.03)},
    ),
    "ride": Voice(
        "cymbal",
        metal.ride,
        {"tune_hz": (300, 650), "decay_s": LONG, "bright": AMOUNT, "ping": AMOUNT},
    ),
    "cymbal_squares": Voice(
        "cymbal",
        metal.hat_squares,
        {"tune_hz": (220, 520), "decay_s": LONG, "cut_hz": (2500, 6000), "hiss": AMOUNT},
    ),
    "tom_sine": Voice(
        "tom",
        drums.tom_sine,
        {
            "pitch_hz": (70, 230),
            "decay_s": (0.12, 0.45),
            "bend": (1.15, 2.2),
            "bend_s": (0.02, 0.06),
            "air": (0.2, 1.2),
        },
    ),
    "tom_modes": Voice(
        "tom",
        drums.tom_modes,
        {"pitch_hz": (70, 230), "decay_s": (0.12, 0.5), "bright": (0.2, 1.0), "stick": (0.2, 1.0)},
    ),
    "tom_fm": Voice(
        "tom",
        drums.tom_fm,
        {"pitch_hz": (70, 260), "decay_s": (0.12, 0.45), "bend": (1.5, 3.5), "index": (0.5, 3)},
    ),
    "cowbell_squares": Voice(
        "cowbell",
        metal.cowbell_squares,
        {
            "tune_hz": (450, 700),
            "decay_s": (0.05, 0.13),
            "interval": (1.38, 1.56),
            "bright": (2.5, 14),
        },
    ),
    "cowbell_modes": Voice(
        "cowbell",
        metal.cowbell_modes,
        {"tune_hz": (450, 950), "decay_s": (0.04, 0.15), "bright": AMOUNT},
    ),
    "shaker": Voice(
        "shaker",
        noises.shaker,
        {
            "tune_hz": (4500, 9000),
            "decay_s": (0.03, 0.1),
            "attack_s": (0.012, 0.04),
            "grain": AMOUNT,
        },
    ),
    "maraca": Voice(
        "shaker",
        noises.shaker,
        {
            "tune_hz": (5000, 9500),
            "decay_s": (0.015, 0.04),
            "attack_s": (0.003, 0.015),
            "grain": AMOUNT,
        },
    ),
    "tambourine": Voice(
        "shaker",
        noises.tambourine,
        {
            "tune_hz": (4200, 7500),
            "decay_s": (0.06, 0.2),
            "jingles": AMOUNT,
            "attack_s": (0.001, 0.01),
        },
    ),
    "conga": Voice(
        "hand_drum",
        drums.conga,
        {"pitch_hz": (150, 330), "decay_s": (0.08, 0.28), "slap": AMOUNT, "damping": (0.8, 1.6)},
    ),
    "bongo": Voice(
        "hand_drum",
        drums.conga,
        {"pitch_hz": (300, 650), "decay_s": (0.04, 0.14), "slap": AMOUNT, "damping": (0.6, 1.4)},
    ),
    "tabla": Voice(
        "hand_drum",
        drums.tabla,
        {"pitch_hz": (90, 420), "decay_s": (0.12, 0.4), "bend": (1.02, 1.3), "bright": AMOUNT},
    ),
    "pluck": Voice(
        "tonal",
        tonal.pluck,
        {"pitch_hz": (82, 660), "decay_s": (0.25, 0.7), "bright": AMOUNT, "place": (0.08, 0.4)},
    ),
    "fm_bell": Voice(
        "tonal",
        tonal.fm_bell,
        {"pitch_hz": (260, 1050), "decay_s": (0.2, 0.7), "ratio": (2.5, 4.2), "index": (0.8, 3)},
    ),
    "fm_keys": Voice(
        "tonal",
        tonal.fm_keys,
        {"pitch_hz": (110, 880), "decay_s": (0.25, 0.7), "index": (0.5, 2), "tine": AMOUNT},
    ),
    "fm_bass": Voice(
        "tonal",
        tonal.fm_bass,
        {"pitch_hz": (41, 130), "decay_s": (0.15, 0.6), "index": (1, 5), "ratio": (1, 3)},
    ),
    "saw_bass": Voice(
        "tonal",
        tonal.saw_bass,
        {"pitch_hz": (41, 130), "decay_s": (0.15, 0.6), "bright": AMOUNT, "hollow": AMOUNT},
    ),
    "mallet": Voice(
        "tonal",
        tonal.mallet,
        {"pitch_hz": (175, 1050), "decay_s": (0.12, 0.5), "bright": AMOUNT, "second": (2.7, 5.5)},
    ),
    "blip": Voice(
        "tonal",
        tonal.blip,
        {"pitch_hz": (220, 1050), "decay_s": (0.05, 0.3), "duty": (0.1, 0.5)},
    ),
    "zap": Voice(
        "tonal",
        tonal.zap,
        {"pitch_hz": (80, 400), "decay_s": (0.15, 0.4), "bend": (4, 16), "bend_s": (0.01, 0.03)},
    ),
}
