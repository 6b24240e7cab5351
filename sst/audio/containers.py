"""The containers of audio files, byte by byte: formats, chunk sizes, comments, markers."""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

STREAMED = 0x7FFF_0000  # writers to a pipe put a size from here up where they do not know it
SLACK = 64  # bytes that a careless writer may be short of what its header says

LARGEST_WAV = (1 << 32) - (1 << 20)  # bytes of sound, with room for all the rest
MAX_CHUNKS = 1000
MAX_COMMENT = 1 << 20  # bytes

_FOREIGN = (  # offset, bytes, what it is: containers that libsndfile does not open
    (4, b"ftyp", "AAC or ALAC (.m4a, .mp4)"),
    (0, b"\x30\x26\xb2\x75", "Windows Media (.wma)"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MThd", "MIDI"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"REX2", "REX"),
    (0, b"\xff\xf1", "AAC (ADTS)"),
    (0, b"\xff\xf9", "AAC (ADTS)"),
)


class DataChunk(NamedTuple):
    """Where the samples of a RIFF or AIFF file lie."""

    start: int  # offset of the first byte after the chunk's header
    declared: int  # bytes by the header
    present: int  # bytes from `start` to the end of the file
    little_endian: bool


def detect_foreign_format(head: bytes) -> str:
    """Names a format that is known and not readable here; "" for everything else."""
    for offset, magic, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return name
    return ""


def find_data_chunk(file: BinaryIO) -> DataChunk | None:
    """Finds the sound chunk of a RIFF or AIFF file; None where there is none, or no such file."""
    size = os.fstat(file.fileno()).st_size
    for name, start, length, little in _chunks(file):
        if name in (b"data", b"SSND"):
            return DataChunk(start, length, size - start, little)
    return None


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yields (name, offset of the content, bytes, little endian) of each chunk of RIFF or AIFF.

    Ends at a size that leads out of the file, at the latest after `MAX_CHUNKS` chunks.
    """
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RIFX", b"FORM"):
        return
    little = head[:4] == b"RIFF"
    position = 12
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        (length,) = struct.unpack("<I" if little else ">I", chunk[4:])
        yield chunk[:4], position + 8, length, little
        position += 8 + length + (length & 1)


def count_missing_bytes(chunk: DataChunk) -> int:
    """Counts the bytes of sound that the header promises and the file lacks; 0 for a stream."""
    missing = chunk.declared - chunk.present
    return missing if missing > SLACK and chunk.declared < STREAMED else 0


def count_undeclared_bytes(file: BinaryIO, chunk: DataChunk) -> int:
    """Counts the bytes of sound behind a header that says 0.

    A recorder leaves such a header when its power fails.
    """
    if chunk.declared != 0 or chunk.present <= SLACK:
        return 0
    file.seek(chunk.start)
    following = file.read(8)
    (length,) = struct.unpack("<I" if chunk.little_endian else ">I", following[4:])
    is_chunk = following[:4].isascii() and following[:3].isalnum() and length <= chunk.present - 8
    return 0 if is_chunk else chunk.present


def ogg_is_cut(file: BinaryIO) -> bool:
    """Tells whether the last page of an Ogg file is incomplete."""
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - 70_000)  # a page has at most 65,307 bytes
    file.seek(start)
    tail = file.read(size - start)
    page = tail.rfind(b"OggS")
    table = tail[page + 27 :]
    n_segments = tail[page + 26] if page >= 0 and len(tail) > page + 26 else 256
    return len(table) < n_segments or len(table) < n_segments + sum(table[:n_segments])


def add_comment(wav: bytes, comment: str) -> bytes:
    """Adds a comment chunk at the end of a little-endian WAV file.

    Raises:
        ValueError: for a comment of more than `MAX_COMMENT` bytes.
    """
    text = comment.encode("utf-8") + b"\0"
    if len(text) > MAX_COMMENT:
        raise ValueError(f"a comment of {len(text):,} bytes is too long")
    text += b"\0" * (len(text) & 1)
    info = b"INFOICMT" + struct.pack("<I", len(text)) + text
    body = wav[8:] + b"\0" * (len(wav) & 1) + b"LIST" + struct.pack("<I", len(info)) + info
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_marker_chunks(starts: Sequence[int], labels: Sequence[bytes]) -> bytes:
    """Makes the chunks of a WAV file that hold markers: `cue `, and labels in `LIST adtl`.

    Args:
        starts: samples.
        labels: one for each.
    """
    points = [
        struct.pack("<II4sIII", i, start, b"data", 0, 0, start) for i, start in enumerate(starts, 1)
    ]
    names = [
        _chunk(b"labl", struct.pack("<I", i) + text + b"\0") for i, text in enumerate(labels, 1)
    ]
    cue = _chunk(b"cue ", struct.pack("<I", len(points)) + b"".join(points))
    return cue + _chunk(b"LIST", b"adtl" + b"".join(names))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)


def append(file: BinaryIO, chunks: bytes) -> None:
    """Appends chunks to a little-endian WAV file that is open for reading and writing."""
    if not chunks:
        return
    end = file.seek(0, os.SEEK_END)
    file.write(b"\0" * (end & 1) + chunks)
    file.seek(4)
    file.write(struct.pack("<I", end + (end & 1) + len(chunks) - 8))


def read_comment(file: BinaryIO) -> str:
    """Reads the comment of a WAV file; "" if there is none."""
    for name, start, length, little in _chunks(file):
        if name == b"LIST" and little and 12 <= length <= MAX_COMMENT + 16:
            file.seek(start)
            info = file.read(length)
            if info[:8] == b"INFOICMT":
                (size,) = struct.unpack("<I", info[8:12])
                return info[12 : 12 + size].split(b"\0")[0].decode("utf-8", "replace")
    return ""


def read_mp3_facts(file: BinaryIO) -> tuple[int, bool]:
    """Returns (bytes without the ID3v2 tag in front, whether the length is stated).

    The first frame may state the number of frames; without that a decoder guesses it from the size.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    tag = _id3_size(file.read(10))
    file.seek(tag)
    head = file.read(8192)
    return size - tag, b"Xing" in head or b"Info" in head


def _id3_size(head: bytes) -> int:
    """Returns the bytes of an ID3v2 tag at the start of a file, 0 if there is none."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    a, b, c, d = (byte & 0x7F for byte in head[6:10])
    return 10 + (a << 21 | b << 14 | c << 7 | d)
