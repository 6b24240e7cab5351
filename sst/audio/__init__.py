"""Audio files to clips and back.

Reading (`reader`, `recording`, `containers`), the canonical clip (`clip`), decoding in processes
that may be killed (`decode_pool`, `decode_worker`), the hits inside a recording (`level_track`,
`onsets`, `segment_file`), and its faults (`faults`). No models and no libraries. Start with
`decode_pool.decode_many`.
"""
