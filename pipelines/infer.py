"""Using a model: new sounds, similar sounds, vectors, and the index of a library.

python -m pipelines.infer generate --out new.wav
python -m pipelines.infer similar kick.wav --library-dir ~/Samples
python -m pipelines.infer embed ~/Samples --out emb.npz
python -m pipelines.infer library scan|status --library-dir ~/Samples
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines import options
from pipelines.narration import Progress, plural, say, shown
from sst.errors import NothingToDo, SkippedFiles, UsageError

# Everything that takes time to import is imported in the command that needs it.


def run(argv: Sequence[str], prog: str = "python -m pipelines.infer") -> int:
    """Runs one command; raises sst.errors.UserError for what the user can mend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's remarks
    arguments = options.parse(argv, prog)
    commands = {"generate": generate, "similar": similar, "embed": embed, "library": library}
    commands[arguments.command](arguments)
    return 0


def generate(arguments: argparse.Namespace) -> None:
    """Makes sounds and writes them."""
    from sst import recipe

    origin = _checked(arguments)
    seed = secrets.randbelow(recipe.LARGEST_SEED) if arguments.seed is None else arguments.seed
    count = arguments.interpolate or arguments.num or 1
    paths = _places(arguments, _name(arguments), seed, count)

    from sst import inference

    arguments.model = arguments.model or (origin and origin.model) or "model_test"
    model = inference.load(arguments.model)
    for path, one in zip(paths, _recipes(arguments, model, origin, seed), strict=True):
        wave = recipe.render(model, one)
        path.parent.mkdir(exist_ok=True)
        recipe.write(path, wave, one)
        if not sys.stdout.isatty():
            _results().put(f"{path}\n")
        say(f"wrote {path} ({_described(one, model, bool(wave.any()))})")
    if arguments.seed is None and _is_random(arguments):
        say(f"seed {seed}: --seed {seed} gives the same again")


def similar(arguments: argparse.Namespace) -> None:
    """Prints, and copies, the sounds nearest to each target."""
    if not arguments.targets:
        raise UsageError("Give the target before --library-dir: similar kick.wav --library-dir DIR")
    _workers(arguments)
    from sst import similar as sounds

    results = _results()
    session = _session(arguments)
    answers = []
    for target in arguments.targets:
        hits = sounds.find(session, target, arguments.num_similar, arguments.include_self)
        answers.append(results.Answer(target, hits))
    fewest = min(len(answer.hits) for answer in answers)
    if fewest < arguments.num_similar:
        say(f"The library has only {plural(fewest, 'other sound')}.")
    format_ = arguments.format or ("table" if sys.stdout.isatty() else "paths")
    if arguments.copy_to:
        folder = Path(arguments.copy_to).expanduser()
        copies = results.copy(answers, folder, arguments.overwrite)
        say(f"copied {plural(len(copies), 'sound')} to {folder}")
    results.put(results.text(answers, format_, arguments.library_dir))
    if format_ == "table" and not arguments.copy_to:
        say("Saved nothing. Use --copy-to DIR, --format m3u|csv|json.")
    _strict(arguments, session.report.skipped)


def embed(arguments: argparse.Namespace) -> None:
    """Writes the vectors of files and folders: paths, onsets, embeddings."""
    _workers(arguments)
    out = _npz_place(arguments)
    paths = _audio_paths(arguments.paths)

    import numpy as np

    from sst import decoding, encoding
    from sst import similar as sounds

    encoder = sounds.encoder(arguments.model)
    progress = Progress("Listening")
    found: list[tuple[str, float, Any]] = []
    skipped: dict[str, int] = {}
    done = 0
    for batch in encoding.heard(encoder, paths, workers=arguments.workers):
        for sound, vector in batch:
            if isinstance(sound, decoding.Skipped):
                skipped[sound.reason] = skipped.get(sound.reason, 0) + 1
                first = sound
            elif vector is not None:
                found.append((str(sound.path), sound.clip.onset_s, vector))
        done += len(batch)
        progress(done, len(paths), sum(skipped.values()))
    progress.close()
    if not found:
        raise NothingToDo(f"0 of {plural(len(paths), 'file')} could be used: {first.detail}.")
    names, onsets, vectors = zip(*found, strict=True)
    _write_npz(
        out,
        paths=np.array(names),
        onsets=np.array(onsets, np.float32),
        embeddings=np.stack(vectors).astype(np.float32),
    )
    size = f"{plural(len(found), 'sound')}, {len(vectors[0])} numbers each"
    say(f"wrote {out}: {size}{_lost(skipped)}")
    _strict(arguments, skipped)


def library(arguments: argparse.Namespace) -> None:
    """Builds or updates an index, or says what it holds."""
    _workers(arguments)
    if arguments.action == "scan":
        session = _session(arguments)
        facts = _status(arguments, session.report.folder)
        _put_facts(arguments, facts)
        _strict(arguments, session.report.skipped)
        return
    from sst import library as libraries
    from sst import similar as sounds

    encoder = sounds.encoder(arguments.model)
    folder = libraries.place(arguments.library_dir, encoder)
    if not (folder / "index.sqlite").is_file():
        raise NothingToDo(
            "There is no index of this library for this model yet: sst library scan"
            f" --library-dir {' '.join(arguments.library_dir)}"
        )
    if arguments.skipped:
        rows = libraries.skipped(folder)
        _results().put("".join(f"{reason}\t{detail}\t{path}\n" for path, reason, detail in rows))
        return
    difference = libraries.pending(encoder, arguments.library_dir)
    pending = dict(zip(("new", "changed", "gone"), difference, strict=True))
    _put_facts(arguments, _status(arguments, folder) | {"since the last scan": pending})


def _session(arguments: argparse.Namespace) -> Any:
    """The library, brought up to date with a word on what had changed."""
    from sst import similar as sounds

    encoder = sounds.encoder(arguments.model)
    progress = Progress("Listening")
    try:
        session = sounds.open_session(
            encoder, arguments.library_dir, arguments.engine, progress, arguments.workers
        )
    finally:
        progress.close()
    report = session.report
    if report.new or report.changed or report.removed:
        say(
            f"{plural(report.found, 'file')}: {report.new - report.moved:,} new,"
            f" {report.changed:,} changed, {report.moved:,} moved,"
            f" {report.removed - report.moved:,} gone{_lost(report.skipped)}"
            f" in {report.seconds:.1f} s"
        )
    if report.closed:
        say(f"{plural(len(report.closed), 'folder')} could not be read: {report.closed[0]}")
    return session


def _status(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from sst import library as libraries
    from sst import modelfile, search

    rows = libraries.rows(folder)
    lost = libraries.skipped(folder)
    counts: dict[str, int] = {}
    for _, reason, _ in lost:
        counts[reason] = counts.get(reason, 0) + 1
    searcher = search.open_or_build(folder, rows.vectors, arguments.engine)
    saved = modelfile.load_model(modelfile.find_model(arguments.model))
    return {
        "folders": [os.path.abspath(os.path.expanduser(d)) for d in arguments.library_dir],
        "files": len(rows.paths) + len(lost),
        "sounds": len(rows.paths),
        "different sounds": len(set(rows.digests)),
        "skipped": counts,
        "model": f"{arguments.model} ({saved.config.name}, {saved.digest})",
        "engine": searcher.engine,
        "recall of the 10 nearest": round(searcher.recall, 4),
        "index": str(folder),
        "bytes on disk": libraries.size_on_disk(folder),
    }


def _put_facts(arguments: argparse.Namespace, facts: dict[str, Any]) -> None:
    if arguments.format == "json":
        _results().put(json.dumps(facts, indent=1) + "\n")
        return
    width = max(map(len, facts))
    lines = (f"{name:{width}}  {shown(_plain(value))}\n" for name, value in facts.items())
    _results().put("".join(lines))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n:,} {what}" for what, n in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _checked(arguments: argparse.Namespace) -> Any:
    """Refuses what cannot work before the model is loaded; the recipe of --from, if given."""
    from sst import audio, encoding, recipe

    files, weights = arguments.audio_files, arguments.weights
    if arguments.subtype not in (None, *options.SUBTYPES):
        known = ", ".join(options.SUBTYPES)
        raise UsageError(f"--subtype {arguments.subtype} should be one of {known}.")
    low, high = audio.RATES
    if arguments.sample_rate is not None and not low <= arguments.sample_rate <= high:
        raise UsageError(f"--sample-rate {arguments.sample_rate} should be {low} to {high} Hz.")
    if arguments.seed is not None and not 0 <= arguments.seed <= recipe.LARGEST_SEED:
        raise UsageError(f"--seed {arguments.seed} should be 0 to {recipe.LARGEST_SEED}.")
    if arguments.origin and (files or weights or arguments.interpolate):
        raise UsageError("--from makes a sound again; it takes no files, weights or interpolation.")
    if arguments.class_name and (files or arguments.origin):
        raise UsageError("--class is of random sounds; it takes no --audio-files and no --from.")
    if weights and not files:
        raise UsageError("--weights go with --audio-files.")
    if arguments.interpolate is not None:
        recipe.check_interpolation(files or [], arguments.interpolate, arguments.variance)
        if weights or arguments.num:
            raise UsageError("--interpolate takes no weights and no --num.")
    elif files:
        recipe.checked_weights(len(files), weights, not arguments.no_normalize_weights)
    if (files or arguments.origin) and not arguments.interpolate:
        recipe.check_variations(1 if arguments.num is None else arguments.num, arguments.variance)
    elif arguments.variance and not files:
        raise UsageError("--variance goes with --audio-files or --from; try --temperature.")
    if arguments.num is not None and arguments.num < 1:
        raise UsageError(f"--num {arguments.num} should be at least 1.")
    for file in files or []:
        encoding.existing(file)
    return recipe.read(arguments.origin) if arguments.origin else None


def _recipes(arguments: argparse.Namespace, model: Any, origin: Any, seed: int) -> list[Any]:
    from sst import recipe

    num, variance, files = arguments.num or 1, arguments.variance, arguments.audio_files
    output = recipe.Output(arguments.sample_rate, arguments.subtype or "PCM_16", arguments.model)
    if origin:
        chosen = recipe.with_output(origin, arguments.sample_rate, arguments.subtype)
        return recipe.variations(model, chosen, variance, num, seed)
    if arguments.interpolate:
        return recipe.interpolations(model, files, arguments.interpolate, variance, seed, output)
    if files:
        normalize = not arguments.no_normalize_weights
        return recipe.mixes(model, files, arguments.weights, normalize, variance, num, seed, output)
    return recipe.draws(model, num, seed, arguments.temperature, output, arguments.class_name)


def _is_random(arguments: argparse.Namespace) -> bool:
    return bool(arguments.variance) or not (arguments.audio_files or arguments.origin)


def _name(arguments: argparse.Namespace) -> str:
    if arguments.origin:
        return Path(arguments.origin).stem
    if arguments.audio_files:
        stems = [Path(file).stem for file in arguments.audio_files]
        between = "-to-" if arguments.interpolate else "-x-"
        return between.join(stems)[:120]
    return arguments.class_name or "random"


def _places(arguments: argparse.Namespace, name: str, seed: int, count: int) -> list[Path]:
    """Where the sounds go: --out as a file, numbered where there are several, or a folder."""
    from sst import recipe

    out = Path(arguments.out).expanduser() if arguments.out else Path("out")
    is_folder = not arguments.out or out.is_dir() or arguments.out.endswith(("/", os.sep))
    if is_folder or not out.suffix:
        if not out.parent.is_dir():
            raise UsageError(f"No folder {out.parent} to make {out.name} in.")
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file; give a folder, or a name ending in .wav.")
        paths = [out / f"{name}_seed{seed}_{i:03d}.wav" for i in range(1, count + 1)]
        if not out.exists():  # made when there is something to put in it
            return paths
    elif count == 1:
        paths = [out]
    else:
        paths = [out.with_stem(f"{out.stem}_{i:03d}") for i in range(1, count + 1)]
    return [recipe.free_path(path, arguments.overwrite) for path in paths]


def _described(recipe: Any, model: Any, audible: bool) -> str:
    kind = {"PCM_16": "16 bit", "PCM_24": "24 bit", "FLOAT": "32 bit float"}[recipe.subtype]
    limit = min(recipe.sample_rate, model.config.audio.sample_rate) / 2000
    level = "peak -1 dB" if audible else "silent"
    return (
        f"{recipe.sample_rate / 1000:g} kHz, {kind}, {level};"
        f" content above {limit:g} kHz is not modelled"
    )


def _audio_paths(given: Sequence[str]) -> list[Path]:
    """Files as they are named, and all audio files of folders, each once."""
    from sst import encoding, files

    paths: dict[Path, None] = {}
    for one in given:
        if os.path.isdir(os.path.expanduser(one)):
            samples = files.samples_or_raise([one]).samples
            paths.update(dict.fromkeys(sample.path for sample in samples))
        else:
            paths[Path(os.path.abspath(encoding.existing(one)))] = None
    return list(paths)


def _npz_place(arguments: argparse.Namespace) -> Path:
    out = Path(arguments.out).expanduser()
    if out.suffix != ".npz":
        raise UsageError(f"--out {out} should end in .npz.")
    if not out.parent.is_dir():
        raise UsageError(f"No folder {out.parent} to write {out.name} into.")
    if out.exists() and not arguments.overwrite:
        raise UsageError(f"{out} exists already; --overwrite replaces it.")
    return out


def _write_npz(out: Path, **arrays: Any) -> None:
    """Whole or not there at all."""
    import numpy as np

    draft = out.with_name(f".{out.name}.{os.getpid()}.npz")
    try:
        np.savez(draft, **arrays)
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)


def _workers(arguments: argparse.Namespace) -> None:
    if arguments.workers is not None and arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers} should be at least 1.")


def _lost(skipped: dict[str, int]) -> str:
    """`; 3 skipped: 2 unreadable, 1 empty`."""
    if not skipped:
        return ""
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(skipped.items()))
    return f"; {sum(skipped.values()):,} skipped: {reasons}"


def _strict(arguments: argparse.Namespace, skipped: dict[str, int]) -> None:
    if arguments.strict and skipped:
        raise SkippedFiles(f"--strict: {_lost(skipped).removeprefix('; ')}.")


def _results() -> Any:
    from pipelines import results

    return results


if __name__ == "__main__":
    from pipelines.endings import guarded

    sys.exit(guarded(run))
