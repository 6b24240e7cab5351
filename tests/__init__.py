"""The tests, in folders as in `sst`, and the modules that they share: `from tests import synth`.

`synth` and `hostile` make sounds and files, `small_model`, `tiny_model` and `linear_model` models,
`made_sounds` and `small_dataset` data sets, `stub_encoder` an encoder that needs no model.
"""
