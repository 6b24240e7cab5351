"""One training run, from a data set to an exported model.

The step with the only pmap (`step`), the loop, the plateau rule, checkpoints, the export of the
best model, the run's directory and its logs. Start with `run.fit`.
"""
