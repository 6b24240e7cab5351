"""One training run, from a data set to an exported model.

`run.fit` prepares a run and `loop` goes through its steps: `batches`, the `step` with the only
pmap, the `plateau` rule, `checkpoints`, the `export` of the best model, its logs (`run_log`,
`plots`, `clock`, `peak_flops`) and its directory (`workdir`).

Networks and objective are in `sst.model`, data sets in `sst.data`, figures beside other systems in
`sst.evaluation`. Start with `run.fit`.
"""
