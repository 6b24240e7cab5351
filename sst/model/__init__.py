"""The variational autoencoder: networks, objective, principal components, prior, and its file.

Training lives in `sst.training`, using a trained model in `sst.inference`. Start with
`model.encode` and `model.objective`.
"""
