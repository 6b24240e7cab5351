"""The variational autoencoder: networks, objective, principal components, prior, and its file.

Training lives in `sst.training`, using a trained model in `sst.inference`. Start with
`functions.VAE`, `network.encode` and `objective.objective`.
"""
