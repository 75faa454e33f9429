"""The least number of insertions, deletions and substitutions that make one text of another (Levenshtein, 1966)."""

import numpy as np


def edit_distance(first: str, second: str) -> int:
    """Return the edit distance of two texts, by Wagner and Fischer's table, a row at a time."""
    letters = np.array([ord(letter) for letter in second], np.int64)
    columns = np.arange(len(second) + 1)
    row = columns
    for number, letter in enumerate(first, start=1):
        replaced = np.concatenate(([number], np.minimum(row[1:] + 1, row[:-1] + (letters != ord(letter)))))
        # An insertion costs one more than the cell on its left: the least of all cells there, each plus its distance.
        row = np.minimum.accumulate(replaced - columns) + columns
    return int(row[-1])
