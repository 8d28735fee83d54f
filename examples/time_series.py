"""Read a time series: a moving average removes its weekly pattern, then a difference finds a jump.

Run ``python examples/time_series.py``.
"""

import numpy as np

from convcheck import corr1d

WEEK = np.array([5, 3, 2, 2, 4, -7, -9], float)  # sums to zero: busy weekdays, quiet weekends
AVERAGE = np.full(7, 1 / 7)
DIFFERENCE = np.array([-1, 1], float)


def visits(weeks: int = 6, jump_at: int = 24) -> np.ndarray:
    """Count the visits to a page: 50 a day plus the weekly pattern, and 14 more from the day `jump_at` on."""
    days = np.arange(7 * weeks)
    return 50 + WEEK[days % 7] + 14 * (days >= jump_at)


def smooth(series: np.ndarray) -> np.ndarray:
    """Average every seven days in a row, over which the weekly pattern cancels."""
    return corr1d(series, AVERAGE)


def changes(series: np.ndarray) -> np.ndarray:
    """Subtract each day from the next."""
    return corr1d(series, DIFFERENCE)


def jump_day(series: np.ndarray) -> int:
    """Find the day of the jump: the last of the days over which the average rises is a week's last."""
    rising = np.flatnonzero(changes(smooth(series)) > 1)
    # Average i covers the days i to i + 6; the first that rises is the first whose last day has jumped.
    return int(rising[0]) + len(AVERAGE)


def main() -> None:
    series = visits()
    print("Visits a day:", *series.astype(int))
    print("\nTheir differences show the weekends, not the jump:", *changes(series).astype(int))
    print("\nThe seven-day average:", *smooth(series).round().astype(int))
    print("\nIts differences show the jump, a week wide:", *changes(smooth(series)).round().astype(int))
    print(f"\nThe jump is on day {jump_day(series)}, counted from 0.")


if __name__ == "__main__":
    main()
