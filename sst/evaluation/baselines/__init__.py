"""Baselines: methods that are simpler or older than the model, or know only real sounds.

`samplevae` is a small VAE on images, `mfcc` the usual features of search, `griffinlim` the usual
inversion, `classifier` is trained on real sounds. They work on waves and log-mel spectrograms, and
none of them uses the features of the model that is measured. Only the evaluation imports them:
start with `sst.evaluation.systems`.
"""
