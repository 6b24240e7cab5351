"""Drum machines at 44.1 kHz, on a laptop.

tfds build tfds_builders/sample_library --config \\
    '{"name": "drums", "sample_dirs": ["FOLDER"], "sample_rate": 44100}'
python -m pipelines.train --config experiments/drums.py --workdir runs/drums \\
    --dataset sample_library/drums

On 1,344 sounds of 47 drum machines: 36 minutes on 2 busy cores (AMD EPYC, 2026-11-22), 3,200 steps;
3.67 dB on twelve other machines, principal components 4.02 (benchmarks/README.md).
"""

from sst.config import AudioConfig, Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Full bandwidth, 2 s, 160 bands."""
    return Config(
        name="drums",
        audio=AudioConfig.at_rate(44_100),
        model=ModelConfig(latent_dim=64, width=256, encoder_blocks=3, decoder_blocks=4),
        optim=OptimConfig(
            batch_size=64,
            learning_rate=1e-3,
            ema_decay=0.998,
            eval_every=100,
            patience=5,
            factor=0.3,
            min_improvement=0.005,
            min_lr=5e-5,
        ),
    )
