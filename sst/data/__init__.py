"""Data sets: what a record holds, which records validate, and a built data set as arrays.

The TFDS builder itself is in `tfds_builders/`. Nothing here imports TensorFlow. Start with
`dataset.load`.
"""
