"""What a command says: results on stdout, and everything else on stderr."""

import sys
import time
import unicodedata


def say(text: str) -> None:
    """One line of narration."""
    print(shown(text), file=sys.stderr, flush=True)


def put(content: str) -> None:
    """Writes to stdout; a file name leaves as the bytes that it is."""
    data = content.encode("utf-8", "surrogateescape")
    if binary := getattr(sys.stdout, "buffer", None):
        sys.stdout.flush()
        binary.write(data)
        binary.flush()
    else:  # a replaced stdout that takes text only
        sys.stdout.write(data.decode("utf-8", "replace"))


def shown(text: str) -> str:
    """Text as a terminal may have it: control characters and stray bytes are written out."""
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else _escaped(c)
        for c in text
    )


def _escaped(c: str) -> str:
    number = ord(c)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return c.encode("unicode_escape").decode("ascii")


class Progress:
    """Says how far a long job is: a line that rewrites itself, or one per 10 % where it cannot.

    Silent for jobs that end within a second.
    """

    def __init__(self, what: str, unit: str = "files") -> None:
        self.what, self.unit = what, unit
        self.start = time.monotonic()
        self.tenth, self.drawn, self.open = 0, self.start, False

    def __call__(self, done: int, total: int, skipped: int = 0) -> None:
        """Called after each batch."""
        now = time.monotonic()
        elapsed = now - self.start
        if elapsed < 1.0:
            return
        rate = done / elapsed
        left = (total - done) / rate if rate else 0.0
        text = (
            f"{self.what} {100 * done // total:3d} %  {done:,}/{total:,}"
            f"  {rate:.0f} {self.unit}/s  {_clock(left)} left  {skipped:,} skipped"
        )
        if not sys.stderr.isatty():
            if 10 * done // total > self.tenth:
                self.tenth = 10 * done // total
                say(text)
        elif now - self.drawn > 0.2 or done == total:
            self.drawn, self.open = now, True
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the line to what is said next."""
        if self.open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self.open = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
        if minutes >= 60
        else f"{minutes}:{rest:02d}"
    )


def plural(n: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
