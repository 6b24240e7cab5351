"""Search for transposed copies of sounds, with and without the weight of pitch.

    python -m experiments.benchmarks.aspects --library-dir MACHINES --model runs/drums

Copies are made by playing a sound faster or slower, as a sampler does, and looked for in the
library. Prints the share of copies whose original comes first, by default and with pitch=0.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from sst.library import hits as library_hits
from sst.library import session as library_session

SEMITONES = (-7, -5, 3, 7)


def transposed(source: str, semitones: int, target: Path) -> Path:
    """Writes a copy at another pitch."""
    wave, rate = sf.read(source, dtype="float32", always_2d=True)
    sf.write(target, soxr.resample(wave, rate * 2 ** (semitones / 12), rate), rate, subtype="FLOAT")
    return target


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library-dir", required=True)
    parser.add_argument("--model", default="model_test")
    parser.add_argument("--sounds", type=int, default=60)
    arguments = parser.parse_args()
    session = library_session.open_session(
        library_session.load_encoder(arguments.model), [arguments.library_dir]
    )
    rows = np.random.default_rng(0).permutation(len(session.rows.paths))[: arguments.sounds]
    print(f"{len(session.rows.paths)} sounds, {len(rows)} of them copied; originals found first:")
    with tempfile.TemporaryDirectory() as folder:
        for semitones in SEMITONES:
            found = {}
            for name, weights in (("default", {}), ("pitch=0", {"pitch": 0.0})):
                choice = library_hits.Choice(1, aspects=weights, keep_duplicates=True)
                hits = []
                for row in rows:
                    copy = transposed(session.rows.paths[row], semitones, Path(folder) / "copy.wav")
                    (hit,) = library_session.find(session, copy, choice)
                    hits.append(hit.path == session.rows.paths[row])
                found[name] = np.mean(hits)
            shares = "  ".join(f"{name} {share:.2f}" for name, share in found.items())
            print(f"{semitones:+3d} semitones  {shares}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
