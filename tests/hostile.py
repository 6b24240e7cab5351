"""Bytes that do harm to whoever reads them."""

# A LIST chunk whose inner size is -12: libsndfile 1.2.2 never returns from opening it.
HANG = b"RIFF\x1c\0\0\0WAVELIST\x10\0\0\0INFOXXXX\xf4\xff\xff\xffabcd"
