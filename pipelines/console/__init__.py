"""Shared by all commands: messages, progress, exit codes, skipped files, given paths."""
