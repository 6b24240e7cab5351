"""The model that comes with SST, on public-domain one-shots at 22 kHz.

`sst/models/model_test/SOURCES.md` names the sounds and their licences.

python experiments/arrange_public_sounds.py public sonic-pi public-domain-drum-machines cc0
tfds build tfds_builders/sample_library --config \\
    '{"name": "public", "sample_dirs": ["public/train"], "validation_packs": ["808-mini", "MFB-512",
      "Micro-Rhythmer-12", "Yamaha-MR10"]}'
python -m pipelines.train --config experiments/model_test.py --workdir runs/model_test \\
    --dataset sample_library/public
"""

from sst.config import Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Returns the configuration: half the bandwidth, and as many latents as fit into 25 MB."""
    return Config(
        name="model_test",
        model=ModelConfig(
            latent_dim=704,
            width=192,
            encoder_blocks=3,
            decoder_blocks=3,
            search_width=64,
            neighbours=24,  # some drums are there at 25 velocities: with fewer, draws repeat them
        ),
        optim=OptimConfig(
            batch_size=64,
            learning_rate=1e-3,
            ema_decay=0.998,
            eval_every=50,
            patience=4,
            factor=0.3,
            min_improvement=0.01,
            min_lr=5e-5,
            steps_per_call=10,
        ),
    )
