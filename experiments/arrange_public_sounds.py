"""Arranges the public-domain collections as PACK/KIND/FILE, so that folders say what sounds are.

python experiments/arrange_public_sounds.py OUT sonic-pi public-domain-drum-machines cc0

The collections are those of `sst/models/model_test/SOURCES.md`; they are named by
instrument, by machine, by abbreviation. OUT/train gets the packs that `model_test` is trained on,
OUT/held_out the packs that its report is made with. Files are copied.
"""

import argparse
import re
import shutil
from pathlib import Path

from sst import files

# Two of these machines are also among those that search is measured on, in other recordings.
HELD_OUT = {
    "LM-2",
    "Sequential-Circuits-Drumtraks",
    "Roland-CR-8000",
    "Casio-SK1",
    "synthesizer-percussion",
}
# The first pattern found in "folder/file", without its pack, in lower case, decides.
KINDS = (
    (r"sidestick|rim", "rim"),
    (r"cowb|tr-?808.*\bcb", "cowbell"),
    (r"clave", "clave"),
    (r"handclap|\bclap|_clap|/cp", "clap"),
    (r"fingerclap|snap", "snap"),
    (r"stomp|heel", "stomp"),
    (r"cheek|chest|belly|shoulder|^body/head", "body"),
    (r"open.?hat|hihat-open|hhopen|ohihat|-oh\b|cymbal_open", "open_hat"),
    (r"hihat-(half|loose)", "open_hat"),
    (r"hat|hhclosed|-ch\b|cymbal_(closed|pedal)", "closed_hat"),
    (r"crash|ride|cym|splash", "cymbal"),
    (r"kick|\bbd|bass_(hard|soft)|/bd", "kick"),
    (r"snare|\bsn_|\bsd\b|shortsn|-sd\b|brush", "snare"),
    (r"tom|timbal", "tom"),
    (r"conga|bongo|cajon|darbuka|tabla", "hand_drum"),
    (r"cabasa|maraca|shaker|tamb", "shaker"),
    (r"castanet", "castanets"),
    (r"pizzcato", "pizzicato"),
    (r"staccato", "staccato"),
    (r"^bass_", "bass"),
    (r"^loop_", "loop"),
    (r"^ambi_", "ambience"),
    (r"bell|chime|triangle", "bell"),
)


def main() -> None:
    """Copies every sound to where it belongs and prints how many of each kind there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    counts: dict[tuple[str, str], int] = {}
    for sample in files.find_samples(arguments.folders):
        pack, rest = pack_of(sample)
        kind = kind_of(rest)
        side = "held_out" if pack in HELD_OUT else "train"
        target = arguments.out / side / pack / kind / rest.replace("/", "-")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.path, target)
        counts[side, kind] = counts.get((side, kind), 0) + 1
    for (side, kind), count in sorted(counts.items()):
        print(f"{side:9s} {kind:12s} {count:4d}")


def pack_of(sample: files.Sample) -> tuple[str, str]:
    """Returns the pack of a sample and its path below it; a collection without packs is one."""
    parts = sample.relative.split("/")
    if len(parts) == 1:
        return sample.root, parts[0]
    if parts[0] == "linn-and-tr505":
        parts = parts[1:]
    return parts[0], "/".join(parts[1:])


def kind_of(path: str) -> str:
    """Returns the kind that the first matching rule names, or misc."""
    text = path.lower()
    return next((kind for pattern, kind in KINDS if re.search(pattern, text)), "misc")


if __name__ == "__main__":
    main()
