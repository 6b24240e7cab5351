"""The audio files of folders: their stable ids and labels, and the other files beside them."""

import collections
import difflib
import errno
import functools
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sst.errors import NothingToDo, UsageError

AUDIO_SUFFIXES = (".wav", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".mp3")  # in any case
OTHER_AUDIO = {".m4a", ".aac", ".wma", ".opus", ".caf", ".ape", ".wv", ".mp4"}  # not readable here
FEWEST_PACKS = 10  # with fewer, whole packs say too little: a validation set would be one or two
_PATH_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")


class Sample(NamedTuple):
    """One audio file of a library."""

    root: str  # name of the folder given by the user; unique among those given together
    path: str  # absolute; bytes that are no UTF-8 as surrogate escapes
    relative: str  # posix path below the root, as text (see `to_text`)
    id: str  # root + "/" + relative: the same on every machine
    # The kind of sound: the name of the folder it lies in, without the name of the pack around it
    # (`RolandTR808/rolandtr808-bd/x.wav` is a `bd`); "" where folders say nothing. Names that
    # differ only in case are one label.
    label: str
    size: int  # bytes
    mtime_ns: int


class Survey(NamedTuple):
    """All files found below the given folders."""

    samples: list[Sample]  # sorted by id
    others: dict[str, int]  # suffix -> count of the files that are no audio
    hidden: int  # dot files, resource forks, special files, links to nothing
    closed: list[str]  # folders that could not be read


def find_samples(dirs: Sequence[str | os.PathLike[str]]) -> list[Sample]:
    """Lists every audio file below `dirs`, sorted by id: the same on every call and machine.

    Hidden files and folders are skipped and links to folders are not followed. A folder that
    lies inside another of `dirs` is not searched twice.

    Raises:
        UsageError: one of `dirs` is not a folder.
    """
    return survey(dirs).samples


def samples_or_raise(dirs: Sequence[str | os.PathLike[str]]) -> Survey:
    """Does `survey`, for callers that cannot go on without a sample.

    Raises:
        UsageError: one of `dirs` is not a folder, or there is none.
        NothingToDo: there is no audio file, sentences with what there is instead.
    """
    if not dirs:
        raise UsageError("No folder was given.")
    found = survey(dirs)
    if not found.samples:
        raise NothingToDo(_nothing_found([os.fspath(d) for d in dirs], found))
    return found


def survey(dirs: Sequence[str | os.PathLike[str]]) -> Survey:
    """Lists all files below `dirs`. Raises UsageError where one of them is not a folder."""
    roots = _outermost([_folder(d) for d in dirs])
    samples: list[Sample] = []
    others: collections.Counter[str] = collections.Counter()
    closed: list[str] = []
    hidden = 0
    for name, root in zip(_root_names(roots), roots, strict=True):
        for entry, relative in _walk(root, closed):
            info = _regular(entry)
            if info is None:
                hidden += 1
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in AUDIO_SUFFIXES:
                samples.append(
                    Sample(
                        name,
                        entry.path,
                        relative,
                        f"{name}/{relative}",
                        _folder_label(name, relative),
                        info.st_size,
                        info.st_mtime_ns,
                    )
                )
            else:
                others[to_text(suffix)] += 1
    samples.sort(key=lambda sample: sample.id)
    return Survey(_finish_labels(samples, len(roots)), dict(others.most_common()), hidden, closed)


def describe_skipped(found: Survey) -> list[str]:
    """Returns sentences about audio that is skipped: other formats, closed folders."""
    sentences = []
    if foreign := {suffix: n for suffix, n in found.others.items() if suffix in OTHER_AUDIO}:
        counts = ", ".join(f"{suffix} {n:,}" for suffix, n in foreign.items())
        sentences.append(f"Skipped, not readable here: {counts}. Convert them to WAV to have them.")
    if found.closed:
        rest = f" and {len(found.closed) - 1:,} more" if len(found.closed) > 1 else ""
        sentences.append(f"No permission to look into {found.closed[0]}{rest}.")
    return sentences


def fingerprint(samples: Iterable[Sample], mtimes: bool = True) -> str:
    """Returns 32 hexadecimal digits that change when a file is added, removed, renamed or written.

    `mtimes=False` leaves the times out, for folders that come with a checkout.
    """
    digest = hashlib.blake2b(digest_size=16)
    for sample in samples:
        time = sample.mtime_ns if mtimes else 0
        digest.update(f"{sample.id}\0{sample.size}\0{time}\n".encode())
    return digest.hexdigest()


def to_text(path: str | os.PathLike[str]) -> str:
    """Writes a path as valid Unicode: bytes that are no UTF-8 become %XX; see `from_text`."""
    escaped = _PATH_ESCAPE.sub("%25", os.fspath(path))
    if escaped.isascii():
        return escaped
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in escaped)


def from_text(text: str) -> str:
    """Returns the path that `to_text` was given."""
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda hit: bytes([int(hit[1], 16)]), text.encode("utf-8"))
    return raw.decode("utf-8", "surrogateescape")


def pack_of(sample_id: str) -> str:
    """Returns the pack of a sample: the folder around its own folder, as far as there is one."""
    root, *folders = sample_id.split("/")[:-1]
    return "/".join([root, *(folders[:-1] or folders)])


def absolute(path: str | os.PathLike[str]) -> str:
    """Returns the path from the root of the file system, with ~ resolved."""
    return os.path.abspath(os.path.expanduser(path))


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a file that a user named.

    Raises:
        UsageError: it is a folder, or not there.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise UsageError(f"{to_text(file)} is a folder; give an audio file.")
    if not os.path.lexists(file):
        raise UsageError(f"No file {to_text(file)}. (Looked from {to_text(os.getcwd())}.)")
    return file


def _folder(path: str | os.PathLike[str]) -> str:
    full = absolute(path)
    if os.path.isdir(full):
        return full
    if os.path.exists(full):
        raise UsageError(f"{to_text(full)} is a file; give the folder that holds the samples.")
    raise UsageError(f"No folder {to_text(full)}.{_similar_folder(full)}")


def _similar_folder(missing: str) -> str:
    """Suggests a folder beside the missing one, in a sentence with a space in front."""
    parent, name = os.path.split(missing)
    try:
        with os.scandir(parent) as listing:
            folders = [entry.name for entry in listing if entry.is_dir()]
    except OSError:
        return f" (Looked from {to_text(os.getcwd())}.)"
    near = difflib.get_close_matches(name, folders, n=1)
    return f" Did you mean {to_text(os.path.join(parent, near[0]))}?" if near else ""


def _outermost(roots: Iterable[str]) -> list[str]:
    """Returns the roots without repetitions and without those that lie inside another."""
    real: dict[str, str] = {}
    for root in roots:
        real.setdefault(os.path.realpath(root), root)
    above = {path: [str(parent) for parent in Path(path).parents] for path in real}
    return [root for path, root in real.items() if not any(p in real for p in above[path])]


def _root_names(roots: Sequence[str]) -> list[str]:
    """Returns the last part of each root's path, with a number where two are the same."""
    names: list[str] = []
    for root in roots:
        base = to_text(os.path.basename(root)) or "root"
        count = 1
        name = base
        while name in names:
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    return names


def _walk(root: str, closed: list[str]) -> Iterable[tuple[os.DirEntry[str], str]]:
    """Yields every entry below `root` that is no folder, with its posix path relative to it."""
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError:
            closed.append(to_text(folder))
            continue
        for entry in entries:
            relative = prefix + to_text(entry.name)
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "__MACOSX":
                    pending.append((entry.path, relative + "/"))
            else:
                yield entry, relative


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Returns the file's facts; None where it is hidden, or no regular file or link to one."""
    if entry.name.startswith("."):
        return None
    try:
        info = entry.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR):
            return None
        raise
    return info if stat.S_ISREG(info.st_mode) else None


def _folder_label(root: str, relative: str) -> str:
    """Returns the leaf folder's name without the pack's name in front; "" in the root."""
    folders = [root, *relative.split("/")[:-1]]
    return _without_prefix(folders[-1], folders[-2]) if len(folders) > 1 else ""


@functools.lru_cache
def _without_prefix(leaf: str, pack: str) -> str:
    """Removes the pack's name: `rolandtr808-bd` in `Roland TR-808` is `bd`.

    Letters and digits are compared, without regard to case; the rest does not count.
    """
    wanted = [c for c in pack.casefold() if c.isalnum()]
    if not wanted:
        return leaf
    for end, char in enumerate(leaf):
        if not wanted:  # the name goes on after the pack's: only as a new word
            return leaf if char.isalnum() else leaf[end:].strip(" -_.") or leaf
        if char.isalnum() and char.casefold() != wanted.pop(0):
            return leaf
    return leaf


def _finish_labels(samples: list[Sample], n_roots: int) -> list[Sample]:
    """Names the flat roots of a library given as several, and joins spellings of one label."""
    if n_roots > 1 and not any(sample.label for sample in samples):
        samples = [sample._replace(label=sample.root) for sample in samples]
    counts = collections.Counter(sample.label for sample in samples)
    spelling: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spelling.setdefault(label.casefold(), label)
    if len(spelling) == len(counts):
        return samples
    return [sample._replace(label=spelling[sample.label.casefold()]) for sample in samples]


def _nothing_found(dirs: list[str], found: Survey) -> str:
    where = ", ".join(to_text(d) for d in dirs) or "no folder at all"
    formats = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
    if found.closed:
        return f"Cannot read {found.closed[0]}: permission denied."
    if not found.others and not found.hidden:
        return f"{where} is empty. Give a folder with audio ({formats}); sub-folders are searched."
    seen = ", ".join(f"{suffix or 'no suffix'} {n}" for suffix, n in list(found.others.items())[:5])
    total = sum(found.others.values()) + found.hidden
    files = "1 file" if total == 1 else f"{total:,} files"
    hint = " Convert .m4a to WAV or FLAC first." if ".m4a" in found.others else ""
    detail = seen or f"hidden {found.hidden}"
    return f"No audio in {where}: {files} seen ({detail}). Readable are {formats}.{hint}"
