"""Makes the demo sounds: drum machines and tonal instruments that exist only as parameters.

Voices (`drums`, `snares`, `metal`, `noises`, `tonal`) are pure functions built on `signals`;
`voices` lists them with their ranges, `machines` gives a pack its character, `packs` lists the
eighteen packs and their files, `truth` says what is true of a sound, and `library` makes and writes
all of them. No recordings, no models, no other part of sst but `atomic`. Start with `library`.
"""
