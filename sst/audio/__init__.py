"""Audio files to clips and back.

Reading (`reading`, `containers`), the canonical clip (`audio`), decoding in processes that may be
killed (`decoding`, `worker`), the hits inside a recording (`segments`, `hits`), and what is wrong
with a recording (`faults`). No models and no libraries of files. Start with `decoding.decode_many`.
"""
