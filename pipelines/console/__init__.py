"""What every command shares: messages, progress, exit codes, paths that a person names."""
