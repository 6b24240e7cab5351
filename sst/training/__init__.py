"""One training run, from a data set to an exported model.

The step with the only pmap (`train`), the loop, the plateau rule, checkpoints, the run's directory
and its logs. Start with `fit.fit`.
"""
