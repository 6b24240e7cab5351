"""The sections of the report: titles, and the definition of every quantity in them."""

from typing import Any

from sst.evaluation.quantities import GENERATION, PATHS, RECONSTRUCTION, Quantity

SCHEMA = 1  # of report.json
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
        "Harmonic mean of recall and precision of a class, averaged over the classes of the "
        "held-out sounds. A sound counts where the model was trained on its class.",
        lower_is_better=False,
    ),
    "accuracy": Quantity(
        "accuracy",
        "share",
        3,
        "Share of the held-out sounds whose most probable class is that of their folder.",
        lower_is_better=False,
    ),
    "calibration": Quantity(
        "calibration error",
        "",
        3,
        "Expected calibration error (Naeini et al. 2015): mean distance between accuracy and "
        "confidence in 15 bins of confidence. 0: of the predictions with a probability of 80 %, "
        "80 % are right.",
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
        "Held-out sounds against their reconstructions. Means and medians over files.",
    ),
    "generation": (
        "Random draws",
        "Drawn sounds against held-out real sounds, in two feature spaces that are independent "
        "of the model.",
    ),
    "paths": (
        "Mixes and interpolations",
        "Between held-out sounds, on straight lines through the latent space.",
    ),
    "search": (
        "Search across packs",
        "Every held-out sound with a class is a query once; sounds of its own pack never count.",
    ),
    "classes": (
        "Classification",
        "The predicted class of each held-out sound against the name of its folder.",
    ),
    "copies": (
        "Copies found",
        "Each held-out sound is searched for by a degraded copy of itself among all of them.",
    ),
    "model": (
        "The model itself",
        "The latent vector in use, and the cost of encoding and decoding.",
    ),
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
    """Returns quantities for JSON; those without a goal have None there."""
    return {
        name: quantity._asdict() | {"goal": quantity.goal if quantity.relation else None}
        for name, quantity in quantities.items()
    }
