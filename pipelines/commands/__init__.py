"""One module per command: it checks the options, calls `sst`, and prints."""
