"""A user's folder of samples and its index: scanned, searched, checked.

The index: `scan` brings it up to date (`changes`, `missing`, `embed_files`), `write_rows` writes
it and `rows` reads it, in the file of `database`. Search: `session`, `queries`, `hits`, `copies`.
Checks: `doctor`, `duplicates`; `slices` writes hits as files.

The index lies in the cache, never among the samples. Neighbours of vectors are in `sst.search`,
tables and messages in `pipelines`. Nothing here imports JAX at module level. Start with
`session.open_session`.
"""
