"""Output of the commands: results on stdout, messages on stderr."""

import sys
import unicodedata


def say(text: str) -> None:
    """Writes one message to stderr, above a progress bar where one is drawn."""
    if bars := sys.modules.get("tqdm"):
        bars.tqdm.write(printable(text), file=sys.stderr)
        sys.stderr.flush()
    else:
        print(printable(text), file=sys.stderr, flush=True)


def put(content: str) -> None:
    """Writes results to stdout; bytes of file names that are not UTF-8 are written unchanged."""
    data = content.encode("utf-8", "surrogateescape")
    if binary := getattr(sys.stdout, "buffer", None):
        sys.stdout.flush()
        binary.write(data)
        binary.flush()
    else:  # a replaced stdout that takes text only
        sys.stdout.write(data.decode("utf-8", "replace"))


def printable(text: str) -> str:
    """Returns text that a terminal can show: control characters and stray bytes are escaped."""
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else _escaped(c)
        for c in text
    )


def _escaped(c: str) -> str:
    number = ord(c)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return c.encode("unicode_escape").decode("ascii")
