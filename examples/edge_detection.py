"""Detect vertical edges: the kernel [1, -1] answers where the two neighbours in a row differ.

Run ``python examples/edge_detection.py``.
"""

import numpy as np

from convcheck import corr2d

KERNEL = np.array([[1, -1]])


def black_bar() -> np.ndarray:
    """Draw a white 6 x 8 image with a black bar, columns 2 to 5."""
    image = np.ones((6, 8), int)
    image[:, 2:6] = 0
    return image


def main() -> None:
    image = black_bar()
    print("The image:", image, sep="\n")
    print("\nIts edges, 1 from white to black and -1 from black to white:", corr2d(image, KERNEL), sep="\n")
    print("\nOf the transposed image, whose edges are horizontal, this kernel sees nothing:")
    print(corr2d(image.T, KERNEL))


if __name__ == "__main__":
    main()
