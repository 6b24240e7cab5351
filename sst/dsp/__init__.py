"""Signal processing: arrays in, arrays out.

Spectra (`features`), pitch, envelopes, and the inversion of a log-mel spectrogram (`vocoder`). No
files, no models, no configuration but `AudioConfig`. Start with `features.log_mel`.
"""
