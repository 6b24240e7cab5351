"""Objective quality of a trained model, beside simpler systems.

Start with `run.evaluate`. `material` and `sounds` find the held-out and training sounds,
`training_copies` leaves out what is not unseen, `systems` and `baselines/` are what is compared,
`waves` holds their output and `examples` what the page plays. `sections` fills the tables, one
module each: reconstruction, generation, interpolation, search, classification and degraded copies;
`run` fills the model's own from `latent`. `metrics`, `distributions`, `retrieval`, `intervals` and
`reference_classifier` measure, `figures` holds a figure or why there is none, and `quantities` and
`definitions` say what each means. How the report looks is in `sst.report`.
"""
