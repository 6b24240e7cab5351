"""Nearest neighbours: vectors in, rows and distances out.

`searcher` compares all rows or asks ScaNN (`scann_index`); `stored_index` keeps ScaNN's index in a
folder of the library's. `aspects` are the parts of a search vector and their weights, `similarity`
turns distances into per cent and words, `novelty` into a percentile. `waveform_match` is the
definition of a copy, the only one that takes waves.

No audio file is opened here, and no model: vectors are made in `sst.library.embed_files`. Start
with `searcher.open_or_build`.
"""
