"""Everything at 44.1 kHz, on an accelerator.

tfds build tfds_builders/sample_library --config \\
    '{"name": "full", "sample_dirs": ["FOLDER"], "sample_rate": 44100}'
python -m pipelines.train --config experiments/full.py --workdir runs/full \\
    --dataset sample_library/full

The size for ten thousand sounds and more. Not measured yet: no accelerator was at hand. On 2 cores
a step takes several seconds; use experiments/drums.py there.
"""

from sst.config import AudioConfig, Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Full bandwidth, 2 s, wide enough for matrices of 512 channels."""
    return Config(
        name="full",
        audio=AudioConfig.at_rate(44_100),
        model=ModelConfig(
            latent_dim=512,
            width=512,
            encoder_blocks=3,
            decoder_blocks=6,
            precision="bfloat16",  # in training; the model that comes out computes in float32
        ),
        optim=OptimConfig(
            batch_size=256,
            learning_rate=1e-3,
            warmup_steps=500,
            ema_decay=0.999,
            eval_every=200,
            patience=6,
            factor=0.3,
            min_improvement=0.005,
            min_lr=5e-5,
            steps_per_call=50,
        ),
    )
