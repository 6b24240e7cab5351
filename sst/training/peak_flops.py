"""The peak speed of a device, for the share of it that training uses."""

import time

import jax
import jax.numpy as jnp


def peak_flops(device: jax.Device, precision: str = "float32") -> float:
    """Measures FLOP/s (floating-point operations per second) of a large matrix product."""
    size = 1024 if device.platform == "cpu" else 8192
    one = jax.device_put(jnp.ones((size, size), precision), device)
    product = jax.jit(lambda x: (x @ x) * (1.0 / size))
    product(one).block_until_ready()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        product(one).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best
