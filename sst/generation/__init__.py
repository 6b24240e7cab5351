"""New sounds: sampled latents, their recipes, the rendering, and the novelty filter.

Start with `sampling.draw` and `rendering.render`.
"""
