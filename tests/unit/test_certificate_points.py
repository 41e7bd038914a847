"""Points with which the checker bounds staircases: those that are left have every minimum that all of them have."""

from __future__ import annotations

import numpy as np

from qspec.certificate.points import corners


def test_corners_have_every_minimum_of_all_points() -> None:
    rng = np.random.default_rng(0)
    for turn in range(60):
        size, count = int(rng.integers(1, 6)), int(rng.integers(1, 30))
        x = rng.integers(-40, 40, (size, count))
        f = np.cumsum(rng.integers(0, 3, 81)) if turn % 2 else rng.integers(-9, 9, 81)
        y = f[x + 40]
        at, values = corners((x, y))
        for c, p in rng.integers(-50, 50, (20, 2)):
            assert np.array_equal((c * values - p * at).min(axis=1), (c * y - p * x).min(axis=1))


def test_corners_of_a_line_are_its_ends_and_those_of_a_staircase_are_few() -> None:
    x = np.arange(200)[None]
    assert sorted(set(corners((x, 3 * x - 5))[0][0].tolist())) == [0, 199]
    at, values = corners((x, x // 10))
    assert set(zip(at[0].tolist(), values[0].tolist(), strict=True)) == {(0, 0), (9, 0), (199, 19), (190, 19)}


def test_points_too_large_for_machine_words_stay_as_they_are() -> None:
    points = np.array([[0, 2**40, 2**41]]), np.array([[0, 2**30, 2**31]])
    assert corners(points) is points
