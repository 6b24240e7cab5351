"""Nearest neighbours: vectors in, rows and distances out; never files.

Searchers (`searcher`, `scann_index`), the parts of a search vector and their weights (`aspects`),
the calibration of distances (`similarity`), novelty (`novelty`), and the definition of a copy
(`waveform_match`). Start with `searcher.build`.
"""
