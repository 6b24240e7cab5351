import os
import struct

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from sst.audio import clip as clips
from sst.audio.clip import canonical, from_int16, to_int16
from sst.audio.reader import BODY_S, BadAudio, open_audio, read_block
from sst.audio.recording import read_wave
from sst.audio.wav import SUBTYPES, read_comment, write_wave
from sst.config import AudioConfig
from sst.errors import NothingToDo, UsageError
from tests import synth

A = AudioConfig()
FORMATS = [  # suffix, format, subtype, tolerance of the samples
    ("wav", "WAV", "PCM_U8", 0.01),
    ("wav", "WAV", "PCM_16", 1e-4),
    ("wav", "WAV", "PCM_24", 1e-6),
    ("wav", "WAV", "PCM_32", 1e-6),
    ("wav", "WAV", "FLOAT", 1e-6),
    ("wav", "WAV", "DOUBLE", 1e-6),
    ("wav", "WAVEX", "PCM_16", 1e-4),
    ("wav", "WAV", "ULAW", 0.03),
    ("aif", "AIFF", "PCM_16", 1e-4),
    ("aiff", "AIFF", "PCM_24", 1e-6),
    ("aifc", "AIFF", "FLOAT", 1e-6),
    ("flac", "FLAC", "PCM_16", 1e-4),
    ("flac", "FLAC", "PCM_24", 1e-6),
    ("ogg", "OGG", "VORBIS", 0.05),
    ("mp3", "MP3", "MPEG_LAYER_III", 0.05),
]


def reason_of(path):
    with pytest.raises(BadAudio) as caught:
        read_wave(path)
    assert str(path) in str(caught.value) and isinstance(caught.value, NothingToDo)
    return caught.value.reason


# ----------------------------------------------------------------------------- reading


@pytest.mark.parametrize(("suffix", "form", "subtype", "tolerance"), FORMATS)
@pytest.mark.parametrize("upper", [False, True])
def test_every_format_gives_the_samples_that_were_written(
    tmp_path, suffix, form, subtype, tolerance, upper
):
    wave = synth.tone(440, 44_100, 0.5)
    path = tmp_path / f"x.{suffix.upper() if upper else suffix}"
    sf.write(path, wave, 44_100, subtype=subtype, format=form)
    got, rate, info = read_wave(path)
    assert (rate, info.subtype, got.dtype, got.shape[1]) == (44_100, subtype, np.float32, 1)
    assert len(got) == len(wave)
    np.testing.assert_allclose(got[2000:-2000, 0], wave[2000:-2000], atol=tolerance)


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 64])
@pytest.mark.parametrize("rate", [1000, 8000, 22_050, 96_000])
def test_any_rate_and_number_of_channels(tmp_path, rate, channels):
    wave = np.repeat(synth.tone(100, rate, 0.2)[:, None], channels, axis=1)
    sf.write(tmp_path / "x.wav", wave, rate, subtype="FLOAT")
    got = read_wave(tmp_path / "x.wav")
    np.testing.assert_array_equal(got.wave, wave)
    clip = canonical(got.wave, rate, A)
    assert clip.duration_s == pytest.approx(0.2, abs=0.02)


def test_the_content_decides_not_the_suffix(tmp_path):
    sf.write(tmp_path / "x.flac", synth.tone(440, 44_100), 44_100)
    for name in ("x.wav", "x.mp3", "x.aif"):
        os.link(tmp_path / "x.flac", tmp_path / name)
        assert read_wave(tmp_path / name).info.format == "FLAC"


def test_names_of_any_bytes_open(tmp_path):
    for name in (b"\xff\xfe.wav", "日本語\n\x1b.wav".encode(), b"-rf.wav"):
        path = tmp_path / os.fsdecode(name)
        with open(path, "wb") as file:
            sf.write(file, synth.tone(440, 8000), 8000, format="WAV")
        assert len(read_wave(path).wave) == 8000


def wav_bytes(tmp_path, **kwargs):
    sf.write(tmp_path / "_.wav", synth.tone(440, 44_100), 44_100, **kwargs)
    return bytearray((tmp_path / "_.wav").read_bytes())


def test_files_of_no_use_are_told_apart(tmp_path):
    def put(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    good = wav_bytes(tmp_path)
    assert reason_of(put("empty.wav", b"")) == "empty"
    assert reason_of(put("text.wav", b"hello" * 100)) == "unreadable"
    assert reason_of(put("zeros.wav", bytes(4096))) == "unreadable"
    assert reason_of(put("header.wav", good[:20])) == "unreadable"
    assert reason_of(put("no_samples.wav", good[:44])) == "truncated"
    assert reason_of(put("half.wav", good[: len(good) // 2])) == "truncated"
    assert reason_of(put("m4a.wav", b"\0\0\0\x20ftypM4A " + bytes(4000))) == "unsupported"
    assert reason_of(tmp_path / "nowhere.wav") == "vanished"
    assert reason_of(tmp_path) == "unreadable"
    struct.pack_into("<I", good, 24, 0x7FFFFFFF)
    assert reason_of(put("rate.wav", good)) == "unsupported"


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    assert reason_of(tmp_path / "x.wav") == "unreadable"


def test_sounds_of_no_use_are_told_apart(tmp_path):
    def put(name, wave, rate=44_100, subtype="FLOAT"):
        sf.write(tmp_path / name, wave, rate, subtype=subtype)
        return tmp_path / name

    wave = synth.tone(440, 44_100)
    assert reason_of(put("none.wav", wave[:0])) == "empty"
    assert reason_of(put("one.wav", wave[:1])) == "too_short"
    assert reason_of(put("4ms.wav", wave[:176])) == "too_short"
    assert reason_of(put("zero.wav", wave * 0)) == "silent"
    assert reason_of(put("constant.wav", wave * 0 + 0.5)) == "silent"
    assert reason_of(put("denormal.wav", wave * 1e-40)) == "silent"
    lsb = np.sign(wave) / 32768
    assert reason_of(put("last_bit.wav", lsb, subtype="PCM_16")) == "silent"
    for bad in (np.nan, np.inf, -np.inf):
        spoilt = wave.copy()
        spoilt[100] = bad
        assert reason_of(put("bad.wav", spoilt)) == "non_finite"
    sf.write(tmp_path / "x.wav", wave.astype(np.float64) * 1e300, 44_100, subtype="DOUBLE")
    assert reason_of(tmp_path / "x.wav") == "non_finite"


@pytest.mark.parametrize("declared", [0, 0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_stream_whose_header_was_never_finished_is_whole(tmp_path, declared):
    content = wav_bytes(tmp_path)
    struct.pack_into("<I", content, 40, declared)
    (tmp_path / "x.wav").write_bytes(content)
    np.testing.assert_array_equal(
        read_wave(tmp_path / "x.wav").wave, read_wave(tmp_path / "_.wav").wave
    )


def test_an_empty_file_with_a_chunk_behind_it_is_empty(tmp_path):
    content = wav_bytes(tmp_path)[:44]
    struct.pack_into("<I", content, 40, 0)
    (tmp_path / "x.wav").write_bytes(content + b"LIST" + struct.pack("<I", 200) + bytes(200))
    assert reason_of(tmp_path / "x.wav") == "empty"


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "aiff"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_cut_files_never_pass_for_whole_ones(tmp_path, suffix, share, rng):
    whole = tmp_path / f"whole.{suffix}"
    sf.write(whole, 0.1 * rng.standard_normal(44_100), 44_100)
    (tmp_path / "cut").write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    assert reason_of(tmp_path / "cut") in ("truncated", "unreadable")


def test_an_mp3_with_a_picture_in_front_is_whole(tmp_path):
    sf.write(tmp_path / "x.mp3", synth.tone(440, 44_100), 44_100)
    tag = b"ID3\x04\x00\x00\x00\x0f\x7f\x7f" + bytes(262_143)
    (tmp_path / "tagged.mp3").write_bytes(tag + (tmp_path / "x.mp3").read_bytes())
    got = read_wave(tmp_path / "tagged.mp3").wave
    np.testing.assert_array_equal(got, read_wave(tmp_path / "x.mp3").wave)


def test_an_mp3_that_does_not_state_its_length_is_whole(tmp_path, rng):
    """Decoders guess its length from its size, tags included: the guess is no promise."""
    sf.write(tmp_path / "x.mp3", 0.1 * rng.standard_normal(20_000), 44_100)
    content = (tmp_path / "x.mp3").read_bytes()
    second = content.index(content[:2], 4)  # the first frame is the one with the number of frames
    assert b"Info" in content[:second] or b"Xing" in content[:second]
    tag = b"ID3\x03\x00\x00\x00\x00\x3f\x76" + bytes(8182)
    (tmp_path / "plain.mp3").write_bytes(tag + content[second:])
    assert len(read_wave(tmp_path / "plain.mp3").wave) >= 19_000


def test_a_long_file_is_read_only_as_far_as_its_clip_can_reach(tmp_path):
    rate = 8000
    silence, sound = np.zeros(50 * rate, np.float32), synth.tone(440, rate, 1.0)
    wave = np.concatenate([silence, sound, np.zeros(200 * rate, np.float32)])
    sf.write(tmp_path / "x.flac", wave, rate)
    got = read_wave(tmp_path / "x.flac")
    assert len(got.wave) == (50 + BODY_S) * rate + 1  # the sine's first sample is 0
    clip, whole = (canonical(w, rate, A) for w in (got.wave, wave))
    np.testing.assert_allclose(clip.wave, whole.wave, atol=1e-4)
    assert clip.onset_s == pytest.approx(50, abs=0.002)


def test_silence_beyond_the_lead_ends_the_search(tmp_path):
    wave = np.concatenate([np.zeros(1000 * 100, np.float32), synth.tone(100, 1000)])
    sf.write(tmp_path / "x.flac", wave, 1000)
    assert reason_of(tmp_path / "x.flac") == "silent"


# ----------------------------------------------------------------------------- canonical


def assert_canonical(clip, config=A):
    assert clip.wave.dtype == np.float32 and clip.wave.ndim == 1
    assert 1 <= len(clip.wave) <= config.clip_samples
    assert np.isfinite(clip.wave).all()
    assert clip.duration_s == len(clip.wave) / config.sample_rate
    if clip.peak_db == -np.inf:
        assert not clip.wave.any()
    else:
        assert np.max(np.abs(clip.wave)) == 1.0


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_input_has_a_canonical_clip(data):
    n = data.draw(st.sampled_from([0, 1, 2, 3, 50, 257, 2000, 30_000]))
    channels = data.draw(st.sampled_from([1, 2, 8]))
    rate = data.draw(st.sampled_from([1000, 8000, 22_050, 44_100, 768_000]))
    level = 10.0 ** data.draw(st.integers(-44, 37))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    wave = (rng.standard_normal((n, channels)) * rng.integers(0, 2, (n, 1)) * level / 5).astype("f")
    assert_canonical(canonical(wave, rate, A))


@pytest.mark.parametrize("wave", [[], [0.0], np.zeros((500, 2)), np.full(500, 1e-42)])
def test_silence_is_one_zero_sample(wave):
    clip = canonical(wave, 44_100, A)
    assert len(clip.wave) == 1 and clip.peak_db == -np.inf and not clip.wave.any()


def test_one_sample_is_a_clip():
    clip = canonical([0.5], A.sample_rate, A)
    np.testing.assert_array_equal(clip.wave, [1.0])
    assert clip.peak_db == pytest.approx(20 * np.log10(0.5))


@pytest.mark.parametrize("gain", [1e-30, 1e-3, 1.0, -1.0, 3.0, 1e30])
def test_level_is_remembered_and_taken_out(gain, rng):
    wave = synth.snare(44_100, rng)
    plain, scaled = (canonical(w, 44_100, A) for w in (wave, (gain * wave).astype("f")))
    np.testing.assert_allclose(scaled.wave, np.sign(gain) * plain.wave, atol=2e-5)
    assert scaled.peak_db == pytest.approx(plain.peak_db + 20 * np.log10(abs(gain)), abs=1e-3)


def test_clip_times_level_is_the_original(rng):
    wave = synth.kick(A.sample_rate, rng)
    clip = canonical(wave, A.sample_rate, A)
    start = round(clip.onset_s * A.sample_rate)
    back = clip.wave * 10 ** (clip.peak_db / 20)
    np.testing.assert_allclose(back, wave[start : start + len(back)], atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@pytest.mark.parametrize("lead_s", [0.0, 0.013, 0.7])
def test_leading_silence_moves_only_the_onset(rate, lead_s, rng):
    wave = synth.snare(rate, rng)
    late = np.concatenate([np.zeros(round(lead_s * rate), np.float32), wave])
    one, other = canonical(wave, rate, A), canonical(late, rate, A)
    assert other.onset_s - one.onset_s == pytest.approx(lead_s, abs=1.5e-3)
    shift = len(other.wave) - len(one.wave)  # of the pre-roll that the file's start allowed
    assert 0 <= shift <= 0.0015 * A.sample_rate
    np.testing.assert_allclose(other.wave[shift + 50 :], one.wave[50:], atol=0.15)


def test_trailing_silence_changes_nothing(rng):
    wave = synth.kick(A.sample_rate, rng)
    padded = np.concatenate([wave, np.zeros(9999, np.float32)])
    one, other = (canonical(w, A.sample_rate, A) for w in (wave, padded))
    np.testing.assert_allclose(one.wave, other.wave[: len(one.wave)], atol=1e-6)
    assert len(other.wave) <= len(one.wave)


def test_a_long_sound_is_cut_with_a_fade_and_a_short_one_is_not():
    long = canonical(synth.tone(440, A.sample_rate, 3.0), A.sample_rate, A).wave
    assert len(long) == A.clip_samples
    fade = round(clips.FADE_S * A.sample_rate)
    assert abs(long[-1]) < 1e-3 and np.max(np.abs(long[-2 * fade : -fade])) > 0.99
    envelope = np.abs(long[-fade:]).reshape(10, -1).max(axis=1)
    assert (np.diff(envelope) < 0).all()
    exact = canonical(synth.tone(440, A.sample_rate, 2.0), A.sample_rate, A).wave
    assert np.max(np.abs(exact[-fade // 4 :])) > 0.9


def test_an_echo_after_the_clip_does_not_stretch_it(rng):
    hit = synth.hat(A.sample_rate, rng)
    gap = np.zeros(5 * A.sample_rate, np.float32)
    clip = canonical(np.concatenate([hit, gap, hit]), A.sample_rate, A)
    assert clip.duration_s < 0.15


@pytest.mark.parametrize("from_rate", [8000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("to_rate", [22_050, 44_100])
def test_a_tone_keeps_its_pitch_level_and_length(from_rate, to_rate):
    config = AudioConfig.at_rate(to_rate)
    clip = canonical(synth.tone(1000, from_rate, 1.0), from_rate, config)
    assert clip.duration_s == pytest.approx(1.0, abs=2e-3)
    assert clip.peak_db == pytest.approx(20 * np.log10(0.5), abs=0.2)
    middle = clip.wave[to_rate // 4 : to_rate * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * to_rate / len(middle) == pytest.approx(1000, abs=2.1)


def test_channels_are_averaged_unless_they_cancel(rng):
    wave = synth.snare(A.sample_rate, rng)
    mono = canonical(wave, A.sample_rate, A)
    for channels in ([wave, wave], [wave] * 8, [wave, wave * 0.0]):
        clip = canonical(np.stack(channels, axis=1), A.sample_rate, A)
        np.testing.assert_allclose(clip.wave, mono.wave, atol=1e-5)
    phased = canonical(np.stack([0.5 * wave, -wave], axis=1), A.sample_rate, A)
    assert phased.peak_db > mono.peak_db - 13  # half the difference, not silence
    opposite = canonical(np.stack([wave, -wave], axis=1), A.sample_rate, A)
    np.testing.assert_allclose(opposite.wave, mono.wave, atol=1e-5)
    assert opposite.peak_db == pytest.approx(mono.peak_db, abs=1e-4)


@pytest.mark.parametrize("offset", [0.01, -0.05, 0.3])
def test_a_dc_offset_is_removed(offset, rng):
    silence = np.zeros(A.sample_rate // 5, np.float32)
    wave = np.concatenate([silence, synth.snare(A.sample_rate, rng), silence])
    one, other = (canonical(w, A.sample_rate, A) for w in (wave, wave + offset))
    assert other.onset_s == one.onset_s and abs(len(other.wave) - len(one.wave)) < 50
    n = min(len(one.wave), len(other.wave))
    np.testing.assert_allclose(other.wave[:n], one.wave[:n], atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_a_kick_has_no_dc_offset(seed):
    wave = synth.kick(44_100, np.random.default_rng(seed), 0.1 + 0.05 * seed)
    assert clips._dc_offset(wave / np.max(np.abs(wave)), 44_100) == 0.0


def test_integers_and_doubles_are_the_same_sound(rng):
    wave = synth.snare(A.sample_rate, rng)
    one = canonical(wave.astype(np.float64), A.sample_rate, A)
    other = canonical(to_int16(wave), A.sample_rate, A)
    n = min(len(one.wave), len(other.wave))
    np.testing.assert_allclose(other.wave[:n], one.wave[:n], atol=2e-4)


def test_what_is_no_wave_is_refused():
    with pytest.raises(BadAudio, match="not finite"):
        canonical([0.1, np.nan, 0.2], 44_100, A)
    with pytest.raises(ValueError, match="wave"):
        canonical(np.zeros((2, 2, 2)), 44_100, A)
    with pytest.raises(ValueError, match="numbers"):
        canonical(np.array(["a"]), 44_100, A)


def test_canonical_is_a_fixed_point(rng):
    clip = canonical(synth.snare(44_100, rng), 44_100, A)
    again = canonical(clip.wave, A.sample_rate, A)
    assert again.onset_s <= 1e-3 and again.peak_db == pytest.approx(0.0, abs=1e-6)
    start = len(clip.wave) - len(again.wave)
    assert 0 <= start < 30
    np.testing.assert_allclose(again.wave, clip.wave[: len(again.wave)], atol=1e-6)


# ----------------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23), ("FLOAT", 0)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_written_waves_come_back(tmp_path, subtype, step, channels, rng):
    wave = rng.uniform(-1, 1, (5000, channels)).astype(np.float32)
    write_wave(tmp_path / "x.wav", wave[:, 0] if channels == 1 else wave, 44_100, subtype)
    got, rate, info = read_wave(tmp_path / "x.wav")
    assert (rate, info.subtype) == (44_100, subtype)
    np.testing.assert_allclose(got, wave, atol=step)


def test_comments_of_any_kind_come_back_and_leave_the_sound_alone(tmp_path):
    wave = synth.tone(440, 44_100)
    for comment in ("", "seed 7", '{"a": "é 日本"}', "x" * 200_000):
        write_wave(tmp_path / "x.wav", wave, 44_100, "FLOAT", comment)
        assert read_comment(tmp_path / "x.wav") == comment
        np.testing.assert_array_equal(read_wave(tmp_path / "x.wav").wave[:, 0], wave)


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_the_same_arguments_give_the_same_bytes(tmp_path, subtype):
    for name in ("a", "b"):
        write_wave(tmp_path / name, synth.tone(440, 44_100), 44_100, subtype, "recipe")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"PEAK" not in (tmp_path / "a").read_bytes()[:200]


def test_a_comment_beyond_a_megabyte_is_refused(tmp_path):
    with pytest.raises(ValueError, match="too long"):
        write_wave(tmp_path / "x.wav", np.zeros(5), 8000, comment="x" * (1 << 20))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    write_wave(tmp_path / "x.wav", synth.tone(440, 8000), 8000)
    before = (tmp_path / "x.wav").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(OSError, match="No space"):
                write_wave(tmp_path / "x.wav", synth.tone(880, 8000), 8000)
        assert os.listdir(tmp_path) == ["x.wav"]
        assert (tmp_path / "x.wav").read_bytes() == before


def test_a_subtype_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="PCM_24"):
        write_wave(tmp_path / "x.wav", np.zeros(5), 8000, "PCM_23")


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_sixteen_bits_and_back_is_within_half_a_step(values):
    wave = np.array(values, np.float32)
    back = from_int16(to_int16(wave))
    np.testing.assert_allclose(back, wave, atol=0.5 / 32767 + 1e-7)
    np.testing.assert_array_equal(to_int16(back), to_int16(wave))


def test_sixteen_bits_clip():
    loud = np.array([2.0, -2.0, 1.0])
    np.testing.assert_array_equal(to_int16(loud), [32767, -32767, 32767])


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_an_offset_is_as_if_what_is_before_it_were_not_there(tmp_path, form, rng):
    tone, hiss = synth.tone(440, 44_100, 0.5), 0.1 * rng.standard_normal(22_050).astype(np.float32)
    sf.write(tmp_path / f"both.{form}", np.concatenate([tone, hiss]), 44_100)
    whole = read_wave(tmp_path / f"both.{form}").wave
    late = read_wave(tmp_path / f"both.{form}", 0.5).wave
    assert abs(len(whole) - len(late) - 22_050) <= 1
    np.testing.assert_allclose(late[2000:20_000], whole[24_050:42_050], atol=1e-3)


def test_an_offset_after_the_end_or_into_silence_is_said(tmp_path):
    wave = np.concatenate([synth.tone(440, 16_000, 0.5), np.zeros(8_000, np.float32)])
    sf.write(tmp_path / "x.wav", wave, 16_000)
    for offset, reason, detail in (
        (1.0, "past_end", "it lasts 1 s; give an offset below that, not 1 s"),
        (40.0, "past_end", "not 40 s"),
        (0.6, "silent", "from there on"),
        (0.9999, "too_short", "what is left"),
    ):
        with pytest.raises(BadAudio, match=detail) as caught:
            read_wave(tmp_path / "x.wav", offset)
        assert caught.value.reason == reason


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_file_read_in_blocks_is_the_file_read_at_once(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    sf.write(path, np.stack([synth.sequence([0.1, 0.5, 0.9], 22_050)] * 2, axis=1), 22_050)
    with open_audio(path) as (file, _):
        whole = read_block(file, 10**6)
    with open_audio(path) as (file, _):
        blocks = [read_block(file, 3_500) for _ in range(20)]
    assert np.array_equal(np.concatenate(blocks), whole)
