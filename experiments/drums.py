"""Drum machines at 44.1 kHz, on a laptop.

tfds build tfds_builders/sample_library --config \\
    '{"name": "drums", "sample_dirs": ["FOLDER"], "sample_rate": 44100}'
python -m pipelines.train --config experiments/drums.py --workdir runs/drums \\
    --dataset sample_library/drums

FOLDER holds a folder per machine, with folders of kinds inside. On 1,290 sounds of 47 machines: 24
minutes on two shared cores of an AMD EPYC, 2026-11-23, best at step 2,600. 2.3 dB, 13 cents and P@1
0.82 on twelve other machines; all figures in docs/drums.md.
"""

from sst.config import AudioConfig, Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Returns the configuration: full bandwidth, 2 s, 160 bands."""
    return Config(
        name="drums",
        audio=AudioConfig.at_rate(44_100),
        model=ModelConfig(latent_dim=1024, width=256, encoder_blocks=3, decoder_blocks=4),
        optim=OptimConfig(
            batch_size=64,
            learning_rate=1e-3,
            ema_decay=0.998,
            eval_every=100,
            patience=4,
            factor=0.3,
            min_improvement=0.005,
            min_lr=5e-5,
            steps_per_call=4,  # on a CPU too: memory for a step is asked for once in a call
        ),
    )
