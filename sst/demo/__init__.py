"""Makes the demo sounds: drum machines and tonal instruments that exist only as parameters.

Voices (`drums`, `metal`, `noises`, `tonal`) are pure functions built on `signals`; `voices` lists
them with their ranges, `machines` gives packs their character, and `library` makes and writes the
sounds with their `truth`. No recordings, no models, no other part of sst. Start with `library`.
"""
