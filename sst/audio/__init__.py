"""Audio files to clips and back.

Decoding runs in processes that may be killed: `decode_pool` (many files), `decode_process` (one
process), `decode_worker` (inside it), `wire` (what they say to each other). A file is opened by
`reader`, with `containers` for the bytes around the samples, and read by `recording`; it becomes
one sound (`read_sound`, whose clip is of `clip`) or the hits of a recording (`segment_file`, with
`level_track` and `onsets`). `faults` finds what is wrong with it, and `wav` writes files.

Spectra and other measures are in `sst.dsp`; no models and no libraries are here. Start with
`decode_pool.decode_many`.
"""
