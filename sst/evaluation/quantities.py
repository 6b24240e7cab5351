"""Definitions of the quantities measured on sounds: reconstruction, draws, interpolation."""

from typing import NamedTuple


class Quantity(NamedTuple):
    """One column of a table."""

    title: str
    unit: str  # "" for a number without one
    digits: int  # after the point, where it is shown
    definition: str
    lower_is_better: bool | None = True  # None: neither
    relation: str = ""  # how the value should stand to `goal`: "<", "<=" or ">="; "" for no goal
    goal: float = float("nan")


RECONSTRUCTION = {
    "log_mel_l1_db": Quantity(
        "log-mel L1",
        "dB",
        2,
        "Both signals at 16 kHz; 128 mel bands (window 1024, hop 256) in dB relative to the "
        "original's maximum, floor -80 dB; mean absolute difference over the frames inside the "
        "original at the best gain within +-30 dB. Mean over files.",
        relation="<",
        goal=3.0,
    ),
    "stft_distance": Quantity(
        "STFT distance",
        "",
        3,
        "Spectral convergence plus L1 of log magnitudes, averaged over windows of 23, 46 and 93 "
        "ms (512, 1024 and 2048 samples at 22,050 Hz), at the best gain. Mean over files.",
    ),
    "pitch_cents": Quantity(
        "pitch error",
        "cents",
        1,
        "Difference of the fundamental frequencies, frame by frame, over the files whose original "
        "has a clear pitch; a reconstruction without a pitch counts as an infinite error. Median.",
        relation="<",
        goal=10.0,
    ),
    "pitch_lost": Quantity(
        "pitch lost",
        "share",
        3,
        "Share of the files with a clear pitch whose reconstruction has none.",
    ),
    "attack_ms": Quantity(
        "attack error",
        "ms",
        2,
        "Difference of the attack times: from 5 % to 50 % of the peak of a fine envelope. Median.",
        relation="<",
        goal=1.0,
    ),
    "decay_octaves": Quantity(
        "decay error",
        "octaves",
        3,
        "|log2| of the ratio of the decay times: from the peak to 20 dB below it. Median.",
    ),
    "level_db": Quantity(
        "level error",
        "dB",
        2,
        "Difference of the RMS levels over the active part: within 20 dB of the envelope's peak. "
        "Median. A system that normalises the level of its output has a large error here.",
        relation="<",
        goal=1.0,
    ),
    "class_kept": Quantity(
        "class kept",
        "share",
        3,
        "Share of the files for which a reference classifier, trained on real sounds only, "
        "predicts the same class for the original and for the reconstruction.",
        lower_is_better=False,
    ),
}
GENERATION = {
    "kernel_ratio_mfcc": Quantity(
        "kernel ratio, MFCC",
        "",
        2,
        "Polynomial-kernel distance (Binkowski et al. 2018) of the draws from one half of the "
        "held-out packs, over that of the other half in equal number, in MFCC statistics; "
        "averaged over 100 random halves; the interval holds 95 % of them. 1: as near as real "
        "sounds are to each other. The estimator is biased and grows with the number of sounds: "
        "compare within one report only.",
        relation="<",
        goal=2.0,
    ),
    "kernel_ratio_classifier": Quantity(
        "kernel ratio, classifier",
        "",
        2,
        "The same in the hidden layer of a reference classifier trained on real sounds only.",
        relation="<",
        goal=2.0,
    ),
    "density": Quantity(
        "density",
        "",
        2,
        "Number of held-out real sounds in whose k = 5 neighbourhood a draw lies, over k; mean "
        "over draws (Naeem et al. 2020), in MFCC statistics; about 1 for real sounds.",
        lower_is_better=False,
    ),
    "coverage": Quantity(
        "coverage",
        "",
        2,
        "Share of the held-out real sounds with a draw in their k = 5 neighbourhood.",
        lower_is_better=False,
    ),
    "diversity": Quantity(
        "diversity",
        "",
        2,
        "Mean distance between two draws over that between two held-out real sounds; 1: as "
        "diverse as real sounds.",
        lower_is_better=False,
    ),
    "memorised": Quantity(
        "memorised",
        "share",
        3,
        "Share of the draws that lie nearer to a training sound, in MFCC statistics, than 95 % of "
        "held-out real sounds do. Held-out real sounds have 0.05 by definition.",
        relation="<=",
        goal=0.05,
    ),
    "recognised": Quantity(
        "recognised",
        "share",
        3,
        "Share of the draws that a calibrated reference classifier, trained on real training "
        "sounds only, assigns to a class with a probability above 0.8. The last rows have the "
        "same share of real sounds. By class: the share of all draws assigned to this class.",
        lower_is_better=False,
        relation=">=",
        goal=0.8,
    ),
}
PATHS = {
    "smoothness": Quantity(
        "largest step",
        "x mean",
        2,
        "Largest over mean step along an interpolation between two held-out sounds, in MFCC "
        "statistics; 1 is perfectly even. Mean over pairs.",
    ),
    "level_hole_db": Quantity(
        "level hole",
        "dB",
        2,
        "Largest fall of the level below the straight line between the ends of an interpolation. "
        "Mean over pairs.",
    ),
    "mix_hole_db": Quantity(
        "level hole of mixes",
        "dB",
        2,
        "Fall of the level of a mix of three held-out sounds with random weights below the "
        "weighted mean of their levels. Mean over mixes.",
    ),
}
