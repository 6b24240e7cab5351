"""Synthetic sounds as an evaluation has them."""

import numpy as np

from sst.audio.clip import canonical
from sst.config import AudioConfig
from sst.evaluation import sounds
from tests import synth, tiny_model

AUDIO = tiny_model.CONFIG.audio


def made(n: int, packs: int = 3, seed: int = 0, audio: AudioConfig = AUDIO) -> sounds.Sounds:
    """Kicks, snares and hats in turn."""
    from sst.dsp import features

    rng, kinds = np.random.default_rng(seed), list(synth.KINDS)
    clips = [canonical(synth.KINDS[kinds[i % 3]](16_000, rng), 16_000, audio) for i in range(n)]
    return sounds.Sounds(
        [f"lib/pack{i % packs}/{kinds[i % 3]}/{i}.wav" for i in range(n)],
        [sounds.at_level(clip.wave, clip.peak_db) for clip in clips],
        *features.of_clips(clips, audio),
        [kinds[i % 3] for i in range(n)],
        [f"pack{i % packs}" for i in range(n)],
    )
