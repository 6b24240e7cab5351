"""The variational autoencoder: its functions, its parameters' file, and its prior.

The networks (`network`, on `frames`, `pca` and `companding`), the objective (`objective`, of the
terms in `losses`, on sounds varied by `augment`), the `prior` of random latents, `calibration` of
class probabilities, waves from the decoder's output (`synthesis`), and the exported model
(`export_format`, `quantization`). `functions` bundles what training needs.

Training lives in `sst.training`, using a trained model in `sst.inference`. Start with
`functions.VAE`, `network.encode` and `objective.objective`.
"""
