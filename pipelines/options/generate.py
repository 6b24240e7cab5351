"""The options of `generate`."""

from typing import Any

from pipelines.options.parser import add_command, set_unsegmented


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "generate",
        "make new sounds",
        "Makes new sounds: random ones, mixes of files, or variations of a sound made before.",
    )
    option = parser.add_argument
    option("--out", "--out-file", metavar="PATH", help="a .wav file or a folder (default: out/)")
    option("--num", type=int, metavar="N", help="how many (default: 1)")
    option("--seed", type=int, help="the same seed gives the same sounds (default: a random one)")
    option("--temperature", type=float, default=1.0, help="below 1 random sounds are more ordinary")
    option("--class", dest="class_name", metavar="CLASS", help="random sounds of this class only")
    option("--audio-files", nargs="+", metavar="FILE", help="mix these instead")
    option("--weights", nargs="+", type=float, metavar="W", help="one per file, also negative")
    option("--no-normalize-weights", action="store_true", help="do not divide weights by their sum")
    option("--variance", type=float, default=0.0, metavar="V", help="add noise of this variance")
    option("--interpolate", type=int, metavar="N", help="N sounds on the path between two files")
    option(
        "--from", dest="origin", metavar="WAV", help="make the sound of this file's recipe again"
    )
    option(
        "--min-novelty", type=float, metavar="P", help="draw again below P %% novelty; 0: a copy"
    )
    option("--library-dir", nargs="+", metavar="DIR", help="compare with these folders too")
    option("--sample-rate", type=int, metavar="HZ", help="of the files (default: the model's)")
    option("--subtype", metavar="T", help="PCM_16, PCM_24 or FLOAT (default: PCM_16)")
    option("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(workers=None)
    set_unsegmented(parser, "exact")
