"""The data set of a folder of samples."""
