"""What the first bytes and the chunk sizes of an audio file say, without decoding it."""

import os
import struct
from typing import BinaryIO, NamedTuple

STREAMED = 0x7FFF_0000  # writers to a pipe put a size from here up where they do not know it
SLACK = 64  # bytes that a careless writer may be short of what its header says

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


def foreign_format(head: bytes) -> str:
    """The name of a format that is known and not readable here; "" for everything else."""
    for offset, magic, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return name
    return ""


def data_chunk(file: BinaryIO, max_chunks: int = 1000) -> DataChunk | None:
    """The sound chunk of a RIFF or AIFF file; None for other formats or when there is none.

    Sizes that make no sense end the walk: it never runs longer than `max_chunks` steps.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RIFX", b"FORM"):
        return None
    little = head[:4] == b"RIFF"
    position = 12
    for _ in range(max_chunks):
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        (length,) = struct.unpack("<I" if little else ">I", chunk[4:])
        if chunk[:4] in (b"data", b"SSND"):
            return DataChunk(position + 8, length, size - position - 8, little)
        position += 8 + length + (length & 1)
    return None


def missing_bytes(chunk: DataChunk) -> int:
    """How many bytes of sound the header promises and the file lacks; 0 for a streamed file."""
    missing = chunk.declared - chunk.present
    return missing if missing > SLACK and chunk.declared < STREAMED else 0


def forgotten_bytes(file: BinaryIO, chunk: DataChunk) -> int:
    """Bytes of sound behind a header that says 0, as a recorder leaves it when the power fails."""
    if chunk.declared != 0 or chunk.present <= SLACK:
        return 0
    file.seek(chunk.start)
    following = file.read(8)
    (length,) = struct.unpack("<I" if chunk.little_endian else ">I", following[4:])
    is_chunk = following[:4].isascii() and following[:3].isalnum() and length <= chunk.present - 8
    return 0 if is_chunk else chunk.present


def id3_size(head: bytes) -> int:
    """Bytes of an ID3v2 tag at the start of a file, 0 if there is none."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    a, b, c, d = (byte & 0x7F for byte in head[6:10])
    return 10 + (a << 21 | b << 14 | c << 7 | d)
