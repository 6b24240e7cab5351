"""Signal processing: arrays in, arrays out.

Log-mel spectra and attacks (`features`), `pitch`, `envelopes`, the 31 measured numbers that search
compares (`descriptors`), the few numbers that find copies (`thumbnail`), and the inversion of a
log-mel spectrogram (`vocoder`). No files, no models, no configuration but `AudioConfig`. Start with
`features.log_mel`.
"""
