"""Transcribe music: from two seconds of sound to the notes that are played in it.

The model is Spotify's Basic Pitch (Bittner et al., "A lightweight instrument-agnostic model for polyphonic note
transcription", ICASSP 2022), as it lies in the package basic-pitch (Apache-2.0), once as ONNX and once as TensorFlow
Lite; the package's code is not used. What it hears is synthesised, so that the notes are known.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import heterosis as hs

RATE = 22050
WINDOW = 43844  # what the model hears at once, a little less than two seconds
MELODIES = 24
SCALE = (0, 2, 4, 5, 7, 9, 11)
HARMONICS = 8

Note = tuple[int, float]
"""A key (MIDI's number) and the second in which it begins."""
Melody = list[tuple[int, float, float]]
"""Keys, the seconds in which they begin, and for how long they sound."""

FRAMES_PER_S = RATE / 256
LOWEST = 21  # of 88 keys, in MIDI's numbers
ONSET, SOUNDING = 0.5, 0.3  # the authors' thresholds
SHORTEST_FRAMES = 5
OUTPUTS = {"StatefulPartitionedCall:2": "onset", "StatefulPartitionedCall:1": "note"}  # what ONNX calls them


class Listen:
    """Find the notes in a window of sound (WINDOW samples at 22,050 a second)."""

    models = {
        "onnx": "basic_pitch:saved_models/icassp_2022/nmp.onnx",
        "tflite": "basic_pitch:saved_models/icassp_2022/nmp.tflite",
    }

    def before(self, sound: np.ndarray) -> np.ndarray:
        """Give it a channel."""
        return sound.astype(np.float32)[:, np.newaxis]

    def after(self, outputs: dict[str, np.ndarray], sound: np.ndarray) -> list[Note]:
        """Start a note at each peak of the onsets, and hold it while it sounds."""
        named = {OUTPUTS.get(name, name): array for name, array in outputs.items()}
        onset, note = named["onset"], named["note"]
        before, after = np.roll(onset, 1, axis=0), np.roll(onset, -1, axis=0)
        peaks = (onset >= ONSET) & (onset > before) & (onset >= after)
        found: list[Note] = []
        for frame, key in np.argwhere(peaks):
            silent = np.flatnonzero(note[frame:, key] < SOUNDING)
            length = int(silent[0]) if len(silent) else len(note) - int(frame)
            if length >= SHORTEST_FRAMES:
                found.append((LOWEST + int(key), float(frame / FRAMES_PER_S)))
        return found

    def score(self, found: list[Note], expected: list[Note]) -> dict[str, float]:
        """Count missed notes, and those that nobody played, against what the reference heard."""
        return hs.scores.detection(found, expected, same_note)


def same_note(one: Note, other: Note) -> float:
    """Tell whether two notes are of one key and begin within 50 ms of each other, as MIREX counts them."""
    return float(one[0] == other[0] and abs(one[1] - other[1]) <= 0.05)


listen = hs.stage(Listen)


@hs.pipeline(slo=hs.Slo(latency_ms=500, percentile=99, min_accuracy=0.8))
async def notes(sound: np.ndarray) -> list[Note]:
    """Return the notes, each as its key (MIDI's number) and the second in which it begins."""
    heard: list[Note] = await listen(sound)
    return heard


def melodies() -> Iterator[Melody]:
    """Draw melodies of one to three voices in C major, always the same."""
    random = np.random.default_rng(4)
    for number in range(MELODIES):
        voices, beat_s = 1 + number % 3, float(random.choice([0.22, 0.3, 0.4]))
        melody: Melody = []
        for beat in range(int(1.7 / beat_s)):
            degrees = random.choice(14, voices, replace=False)
            keys = [48 + 12 * int(degree // 7) + SCALE[degree % 7] for degree in degrees]
            melody += [(key, 0.05 + beat * beat_s, 0.9 * beat_s) for key in keys]
        yield melody


def play(melody: Melody) -> NDArray[np.float32]:
    """Return the sound (WINDOW samples): decaying harmonics, and a little noise."""
    random = np.random.default_rng(len(melody))
    sound = random.normal(0, 0.002, WINDOW)
    for key, start, length in melody:
        first = int(start * RATE)
        time = np.arange(min(int(length * RATE), WINDOW - first)) / RATE
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * h * pitch * time) * np.exp(-(2 + h) * time) / h for h in range(1, HARMONICS))
        fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.005)
        sound[first : first + len(time)] += 0.15 * tone * fade
    return sound.astype(np.float32)


@notes.samples
def samples() -> Iterator[hs.Sample]:
    """Melodies and chords, synthesised, so that the notes are known."""
    for melody in melodies():
        yield hs.Sample({"sound": play(melody)[:WINDOW]}, truth=[(key, start) for key, start, _ in melody])


@notes.accuracy
def f1(result: list[Note], truth: list[Note]) -> float:
    """Return the harmonic mean of the shares of notes that were heard, and that were played."""
    return hs.scores.detection(result, truth, same_note)["f1"]
