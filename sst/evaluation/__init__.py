"""Objective quality of a trained model, beside simpler systems.

Start with `run.evaluate`. `material` and `sounds` find the held-out and training sounds,
`training_copies` leaves out what is not unseen, `systems` and `baselines/` are what is compared,
and `sections` fills the tables: reconstruction, generation, interpolation, search, classification,
degraded copies and latent, one module each. `metrics`, `distributions`, `retrieval` and `intervals`
are the measures; `quantities` and `definitions` say what each figure means. How the report looks is
in `sst.report`.
"""
