"""Command lines: they parse, call `sst`, and print."""
