"""Nearest neighbours: vectors in, rows and distances out; never files.

Searchers (`search`, `scannindex`), the measured parts of a search vector (`aspects`), what a
distance means (`nearness`), how new a sound is (`novelty`), and when two sounds are copies of one
(`duplicates`). Start with `search.build`.
"""
