"""Objective quality of a trained model, beside simpler ways to do the same.

`run.evaluate` does all of it; each other module is one topic: which sounds, which systems, and
reconstruction, generation, paths through the latent space, search, and the latent itself.
`metrics`, `distributions`, `retrieval` and `intervals` are the measures, `baselines/` the simpler
ways.
"""
