"""New sounds: their latents, their recipes, their waves and files.

`sampling` draws, mixes, interpolates or varies latents; a `recipe` is all that decides a sound;
`rendering` makes its wave and its file; `novelty_filter` names the nearest real sound, and draws
again where it is too near.

Decoding itself is in `sst.inference`, the prior in `sst.model`, the percentile in
`sst.search.novelty`. Start with `sampling.draw` and `novelty_filter.render`.
"""
