"""What is measured: title, unit, goal and definition of every quantity, as data."""

from typing import Any, NamedTuple

SCHEMA = 1  # of report.json


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
        "Distance of the fundamental frequencies frame by frame, over files whose original has a "
        "clear pitch; one that is lost counts as infinitely far. Median.",
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
        "Median. A system that normalises what it makes shows it here.",
        relation="<",
        goal=1.0,
    ),
    "class_kept": Quantity(
        "class kept",
        "share",
        3,
        "Share of the files that a classifier trained on real sounds only puts into the same "
        "class before and after.",
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
        "averaged over 100 random halves, whose spread is the interval. 1 is as near as real "
        "sounds are to each other. The biased estimator: it grows with the number of sounds, so "
        "compare within one report.",
        relation="<",
        goal=2.0,
    ),
    "kernel_ratio_classifier": Quantity(
        "kernel ratio, classifier",
        "",
        2,
        "The same in the hidden layer of a classifier trained on real sounds only.",
        relation="<",
        goal=2.0,
    ),
    "density": Quantity(
        "density",
        "",
        2,
        "How often a draw lies within the k = 5 neighbourhood of a held-out real sound (Naeem et "
        "al. 2020), in MFCC statistics; about 1 for real sounds.",
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
        "Mean distance between two draws over that between two held-out real sounds; 1 is as "
        "various as real sounds.",
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
        "Share that a calibrated classifier trained on real training sounds only assigns to a "
        "class with a probability above 0.8; how often it is so sure of real sounds is in the "
        "last rows. By class: the share of all draws that is recognised as this one.",
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
        "How far the level falls below the straight line between the ends of an interpolation. "
        "Mean over pairs.",
    ),
    "mix_hole_db": Quantity(
        "level hole of mixes",
        "dB",
        2,
        "How far the level of a mix of three held-out sounds with random weights falls below the "
        "weighted mean of their levels. Mean over mixes.",
    ),
}
SEARCH = {
    "p1": Quantity(
        "P@1",
        "",
        3,
        "Share of queries whose nearest sound of another pack has the query's class. Queries "
        "with fewer than ten such sounds are left out; averaged over classes.",
        lower_is_better=False,
        relation=">=",
        goal=0.85,
    ),
    "p10": Quantity(
        "P@10",
        "",
        3,
        "Share of the ten nearest sounds of other packs that have the query's class.",
        lower_is_better=False,
        relation=">=",
        goal=0.75,
    ),
    "map": Quantity(
        "mAP",
        "",
        3,
        "Mean average precision over all sounds of other packs.",
        lower_is_better=False,
        relation=">=",
        goal=0.65,
    ),
}
CLASSES = {
    "macro_f1": Quantity(
        "macro F1",
        "",
        3,
        "Harmonic mean of how many sounds of a class are heard as it and how many of those heard "
        "as it are of it, averaged over the classes of the held-out sounds. A sound counts where "
        "the model was taught its class.",
        lower_is_better=False,
    ),
    "accuracy": Quantity(
        "right",
        "share",
        3,
        "Share of the held-out sounds whose most probable class is that of their folder.",
        lower_is_better=False,
    ),
    "calibration": Quantity(
        "calibration error",
        "",
        3,
        "Expected calibration error (Naeini et al. 2015): how far the share of right answers is "
        "from how sure they are, in 15 bins of that. 0: of what is 80 % sure, 80 % is right.",
    ),
}
COPIES = {
    name: Quantity(
        title,
        "share",
        3,
        f"Share of the held-out sounds that are the nearest of all to {what}.",
        lower_is_better=False,
    )
    for name, title, what in (
        ("quieter", "quieter", "their copy at a tenth of the level, in 16 bits"),
        (
            "shifted",
            "shifted",
            "their copy with 5 ms of silence before it and without its last tenth",
        ),
        ("resampled", "16 kHz", "their copy that went through a sample rate of 16 kHz"),
        ("compressed", "MP3", "their copy that went through an MP3 of medium quality"),
        ("noisy", "noise", "their copy with white noise 40 dB below its peak"),
    )
}
MODEL = {
    "active_units": Quantity(
        "active units",
        "",
        0,
        "Latent numbers whose posterior mean varies by more than 0.01 over the held-out sounds "
        "(Burda et al. 2016).",
        lower_is_better=None,
    ),
    "kl_nats": Quantity(
        "KL",
        "nats",
        1,
        "Mean divergence of the posterior from N(0, I): the capacity in use.",
        lower_is_better=None,
    ),
    "encode_ms": Quantity(
        "encoding", "CPU-ms", 1, "One clip of full length, features included, compiled before."
    ),
    "decode_ms": Quantity(
        "decoding", "CPU-ms", 1, "One latent vector to audio, compiled before; all cores added."
    ),
}
TITLES = {
    "reconstruction": (
        "Reconstruction",
        "A held-out sound goes in; how near is what comes out? Means and medians over files.",
    ),
    "generation": (
        "Random draws",
        "Drawn sounds against held-out real sounds, in two feature spaces that know nothing of "
        "the model.",
    ),
    "paths": (
        "Mixes and interpolations",
        "Between held-out sounds, straight through the latent space.",
    ),
    "search": (
        "Search across packs",
        "Every held-out sound with a class is a query once; sounds of its own pack never count.",
    ),
    "classes": (
        "Kinds told apart",
        "What kind of sound is it? Each held-out sound against the name of its folder.",
    ),
    "copies": (
        "Copies found",
        "Every held-out sound is looked up by a worse copy of itself among all of them.",
    ),
    "model": ("The model itself", "The latent vector in use, and what the model costs."),
}
SECTIONS = {
    "reconstruction": RECONSTRUCTION,
    "generation": GENERATION,
    "paths": PATHS,
    "search": SEARCH,
    "classes": CLASSES,
    "copies": COPIES,
    "model": MODEL,
}


def as_dict(quantities: dict[str, Quantity]) -> dict[str, dict[str, Any]]:
    """Quantities for JSON; those without a goal have None there."""
    return {
        name: quantity._asdict() | {"goal": quantity.goal if quantity.relation else None}
        for name, quantity in quantities.items()
    }
