"""Everything at 44.1 kHz, on an accelerator.

tfds build tfds_builders/sample_library --config \\
    '{"name": "full", "sample_dirs": ["FOLDER"], "sample_rate": 44100}'
python -m pipelines.train --config experiments/full.py --workdir runs/full \\
    --dataset sample_library/full

The size for ten thousand sounds and more. No accelerator was at hand: what follows was measured on
a CPU, 2026-11-23, by experiments/benchmarks/train_step.py, which says on a GPU how much of it a run
reaches. A step of 256 clips has 727 GFLOP, 1.8 ms at 400 TFLOP/s; compiled for a CPU it needs 4.0
GB, 3.5 of it for values between its operations (`--only-compile`). With 16 clips
(`--config.optim.batch-size 16`) a step takes one core of an AMD EPYC 0.46 s in float32; in
bfloat16, which CPUs emulate, it was half as long again: so 8 s and more for 256. Use
experiments/drums.py there, or `--config.model.precision float32`.
"""

from sst.config import AudioConfig, Config, ModelConfig, OptimConfig


def get_config() -> Config:
    """Returns the configuration: full bandwidth, 2 s, matrices of 512 channels."""
    return Config(
        name="full",
        audio=AudioConfig.at_rate(44_100),
        model=ModelConfig(
            latent_dim=1024,
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
