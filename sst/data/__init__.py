"""Data sets: records, their division into training and validation, and a built set as arrays.

`records` spools decoded sounds, `splits` divides them, `copies` finds copies among those that are
built, `manifest` says what a data set was built from, `build_folder` guards the folder of a build,
and `dataset` reads what was built.

The TFDS builder that calls them is in `tfds_builders/`, batches for training are in
`sst.training.batches`. Nothing here imports TensorFlow. Start with `dataset.load`.
"""
