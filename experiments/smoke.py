"""A test of the machine: three evaluations of a model too small to be of use, in seconds.

tfds build tfds_builders/sample_library
python -m pipelines.train --config experiments/smoke.py --workdir runs/smoke \\
    --dataset sample_library/demo
"""

from sst.config import Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Returns a configuration with next to no network, for 30 steps."""
    return Config(
        name="smoke",
        model=ModelConfig(latent_dim=16, width=16, encoder_blocks=1, decoder_blocks=1),
        optim=OptimConfig(batch_size=8, warmup_steps=5, eval_every=10, max_steps=30),
    )
