"""A user's folder of samples and its index: scanned, searched, checked.

The index lives in the cache, never among the samples. Nothing here imports JAX at module level.
Start with `session.open_session`.
"""
