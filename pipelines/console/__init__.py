"""Shared by every command: messages, progress, exit codes, skipped files, paths of a person."""
