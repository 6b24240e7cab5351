"""The first minutes: the demo sounds, or any folder, on two cores.

tfds build tfds_builders/sample_library
python -m pipelines.train --config experiments/tiny.py --workdir runs/demo \\
    --dataset sample_library/demo

On the demo's 217 sounds: 84 s on 2 cores (AMD EPYC, 2026-11-27), best at step 550.
"""

from sst.config import Config, LossConfig, ModelConfig, OptimConfig


def get_config() -> Config:
    """Returns the configuration: 22 kHz, 2 s, small enough to end within minutes."""
    return Config(
        name="tiny",
        model=ModelConfig(
            latent_dim=512, width=128, encoder_blocks=3, decoder_blocks=2, search_width=64
        ),
        loss=LossConfig(search=0.1),  # of a few sounds of each kind more is only learned by heart
        optim=OptimConfig(
            batch_size=32,
            learning_rate=2e-3,
            ema_decay=0.99,
            eval_every=50,
            patience=4,
            factor=0.3,
            min_improvement=0.05,  # dB and nats together: finer steps do not change how it sounds
            min_lr=1e-4,
            steps_per_call=10,  # on a CPU too: memory for a step is asked for once in a call
        ),
    )
