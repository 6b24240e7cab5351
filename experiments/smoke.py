"""Does the machine work? Three evaluations of a model too small to be of use, in seconds.

python -m pipelines.train --config experiments/smoke.py --workdir runs/smoke --dataset sample_library/demo
"""

import dataclasses

from experiments import tiny
from sst.config import Config, ModelConfig


def get_config() -> Config:
    """`tiny` with next to no network, for 30 steps."""
    config = tiny.get_config()
    return dataclasses.replace(
        config,
        name="smoke",
        model=ModelConfig(latent_dim=16, width=16, encoder_blocks=1, decoder_blocks=1),
        optim=dataclasses.replace(config.optim, batch_size=8, eval_every=10, max_steps=30),
    )
