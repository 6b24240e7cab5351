"""The packs of the demo library: eighteen machines, and the files that each of them comes in."""

from collections.abc import Mapping
from typing import NamedTuple

from sst.demo.machines import Machine, Style


class Pack(NamedTuple):
    """A machine, the number of its sounds, and the format and level of their files."""

    machine: Machine
    suffix: str = ".wav"
    subtype: str = "PCM_16"
    rate: int = 44_100  # Hz
    level_db: float = -1.0  # dBFS of the hardest stroke
    lead_s: float = 0.0  # longest silence before a sound
    layers: tuple[float, ...] = ()  # velocities of kicks, snares and toms, soft to hard
    takes: int = 0  # sounds of each voice; 0 leaves it to `library.SOUNDS_PER_KIND`


ANALOG = "kick_sine snare_analog clap closed_squares open_squares cymbal_squares tom_sine"
KIT = "kick_modes snare_modes rim closed_modes open_modes crash ride tom_modes"
DIGITAL = "kick_fm snare_fm closed_ring open_ring tom_fm"


def _machine(
    name: str, voices: str, style: Style, ranges: Mapping[str, tuple[float, float]] | None = None
) -> Machine:
    return Machine(name=name, voices=tuple(voices.split()), style=style, ranges=ranges or {})


PACKS = (
    Pack(
        _machine(
            "Deep-Harbour",
            f"{ANALOG} rim clave cowbell_squares maraca conga",
            Style(tune=0.9, decay=1.25, drive=0.7, treble_db=-1.5, attack_s=0.0008),
            {"kick_sine.bend": (1.5, 3), "kick_sine.pitch_hz": (42, 56), "gap_s": (0.009, 0.011)},
        )
    ),
    Pack(
        _machine(
            "Night-Bus",
            f"{ANALOG} rim cowbell_squares shaker zap",
            Style(decay=1.0, drive=1.6, treble_db=1.5),
            {"kick_sine.decay_s": (0.45, 0.8), "closed_squares.decay_s": (0.02, 0.035)},
        ),
        lead_s=0.004,
    ),
    Pack(
        _machine(
            "Warehouse-Nine",
            f"{ANALOG} clap_people rim maraca",
            Style(tune=1.08, drive=2.4, treble_db=2.5, room_s=0.08, wet=0.06),
            {
                "kick_sine.bend": (4, 9),
                "kick_sine.click": (0.6, 0.95),
                "hiss": (0.4, 0.9),
                "open_squares.decay_s": (0.13, 0.3),
            },
        ),
        subtype="PCM_24",
    ),
    Pack(
        _machine(
            "Dust-Twelve",
            f"{KIT} clap_people conga tambourine cowbell_modes",
            Style(
                tune=1.05,
                bits=12,
                sampler_rate=26_040,
                drive=1.2,
                hiss_db=-62,
                decay=0.8,
                attack_s=0.0005,
            ),
        )
    ),
    Pack(
        _machine(
            "Cassette-Parade",
            "kick_modes snare_gated closed_noise open_modes crash tom_modes clap shaker bongo rim",
            Style(
                tune=0.94,
                treble_db=-4,
                drive=1.6,
                hiss_db=-52,
                room_s=0.09,
                wet=0.12,
                attack_s=0.001,
            ),
        ),
        suffix=".ogg",
        subtype="VORBIS",
        rate=32_000,
        level_db=-4.0,
    ),
    Pack(
        _machine(
            "Glass-Circuit",
            f"{DIGITAL} clap wood_block crash cowbell_modes maraca fm_bell",
            Style(treble_db=2, width=0.5),
            {"crash.decay_s": (0.3, 0.6)},
        ),
        suffix=".flac",
        subtype="PCM_24",
        rate=48_000,
    ),
    Pack(
        _machine(
            "Oak-Room",
            f"{KIT} cowbell_modes shaker",
            Style(room_s=0.14, wet=0.16, width=0.6),
        ),
        suffix=".flac",
        layers=(0.3, 0.6, 1.0),
    ),
    Pack(
        _machine(
            "Velvet-Brush",
            "kick_modes snare_modes closed_modes open_modes ride tom_modes tambourine",
            Style(decay=0.9, treble_db=-3, room_s=0.2, wet=0.22),
            {
                "snare_modes.wires": (0.6, 0.9),
                "beater": (0.1, 0.25),
                "kick_modes.bright": (0.1, 0.3),
            },
        ),
        suffix=".aiff",
        level_db=-9.0,
        layers=(0.35, 0.9),
    ),
    Pack(
        _machine(
            "Tea-Dance-Box",
            "kick_sine snare_analog closed_noise open_noise tom_sine clave wood_block maraca conga "
            "cowbell_squares cymbal_squares",
            Style(tune=1.12, decay=0.7, treble_db=-2, hiss_db=-64, attack_s=0.0015),
            {"kick_sine.bend": (1.2, 2), "kick_sine.click": (0.05, 0.15), "snappy": (0.4, 0.9)},
        ),
        rate=32_000,
        level_db=-6.0,
        lead_s=0.012,
    ),
    Pack(
        _machine(
            "Bright-Punch",
            "kick_fm kick_sine snare_gated snare_modes clap_people closed_squares open_modes crash "
            "tom_fm rim tambourine",
            Style(tune=1.04, decay=0.85, drive=1.4, treble_db=3, room_s=0.08, wet=0.1),
            {"kick_sine.drive": (2, 3), "kick_fm.index": (3, 5), "crash.decay_s": (0.3, 0.6)},
        ),
        subtype="FLOAT",
    ),
    Pack(
        _machine(
            "Foundry",
            f"{DIGITAL} snare_gated  clap cymbal_squares cowbell_modes zap",
            Style(tune=0.8, decay=1.2, drive=5.0, treble_db=3.5, room_s=0.22, wet=0.25),
        ),
        suffix=".WAV",
        level_db=-0.3,
    ),
    Pack(
        _machine(
            "Market-Square",
            "conga bongo tabla wood_block clave shaker tambourine cowbell_modes clap_people",
            Style(room_s=0.1, wet=0.1, width=0.35),
        ),
        suffix=".flac",
        rate=48_000,
        lead_s=0.02,
        takes=2,
    ),
    Pack(
        _machine(
            "Tin-Keyboard",
            f"{DIGITAL} clave maraca bongo blip",
            Style(
                tune=1.15,
                decay=0.75,
                bits=8,
                sampler_rate=11_025,
                hiss_db=-55,
                treble_db=2,
                attack_s=0.0003,
            ),
        ),
        suffix=".WAV",
        rate=22_050,
        level_db=-3.0,
    ),
    Pack(
        _machine(
            "Eight-Bit-Alley",
            "blip zap closed_noise snare_fm kick_fm cymbal_squares tom_fm",
            Style(bits=6, sampler_rate=22_050, drive=1.0, decay=0.8),
            {"blip.duty": (0.12, 0.5), "closed_noise.cut_hz": (3000, 6000)},
        ),
        subtype="PCM_U8",
        rate=22_050,
        level_db=-2.0,
    ),
    Pack(
        _machine(
            "Silk-Strings",
            "pluck",
            Style(room_s=0.12, wet=0.1, width=0.7),
        ),
        suffix=".ogg",
        subtype="VORBIS",
        takes=8,
    ),
    Pack(
        _machine("Amber-Keys", "fm_keys fm_bell", Style(drive=0.6, treble_db=-1, width=0.5)),
        suffix=".mp3",
        subtype="MPEG_LAYER_III",
        lead_s=0.008,
        takes=4,
    ),
    Pack(
        _machine("Low-Tide-Basses", "fm_bass saw_bass", Style(decay=0.8, drive=1.2, treble_db=1)),
        suffix=".aif",
        takes=4,
    ),
    Pack(
        _machine(
            "Steel-Garden",
            "mallet fm_bell ride",
            Style(room_s=0.2, wet=0.15, decay=0.7),
            {"ride.decay_s": (0.3, 0.6)},
        ),
        suffix=".flac",
        subtype="PCM_24",
        rate=96_000,
        level_db=-12.0,
        takes=2,
    ),
)
