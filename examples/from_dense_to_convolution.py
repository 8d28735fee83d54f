"""From a fully connected layer to a convolution, by two principles.

A fully connected layer between images has a weight w[i, j, k, l] from every input pixel (k, l) to every
output pixel (i, j). Translation invariance: the weight depends on the offset (k - i, l - j) only. Locality:
it vanishes for offsets beyond a small window. What is left is the window, the kernel.

Run ``python examples/from_dense_to_convolution.py``.
"""

from collections.abc import Callable
from math import prod

import numpy as np

from convcheck import corr2d

PIXELS, CHANNELS, HIDDEN = 12_000_000, 3, 100


def dense_parameters(pixels: int, channels: int, hidden: int) -> int:
    """Count the weights of a fully connected layer from an image to hidden units."""
    return pixels * channels * hidden


def dense_weight(layer: Callable[[np.ndarray], np.ndarray], height: int, width: int) -> np.ndarray:
    """Extract w[i, j, k, l] from a linear layer: its response at (i, j) to a 1 at (k, l) alone."""
    one_hot = np.eye(height * width, dtype=int).reshape(height, width, height, width)
    responses = [[layer(one_hot[k, l]) for l in range(width)] for k in range(height)]  # noqa: E741
    return np.moveaxis(np.array(responses), (0, 1), (2, 3))


def weights_by_offset(w: np.ndarray) -> dict[tuple[int, int], set[float]]:
    """Collect the different weights that every offset (k - i, l - j) has."""
    weights: dict[tuple[int, int], set[float]] = {}
    for i, j, k, l in np.ndindex(w.shape):  # noqa: E741
        weights.setdefault((k - i, l - j), set()).add(w[i, j, k, l].item())
    return weights


def is_translation_invariant(w: np.ndarray) -> bool:
    """Say whether the weight depends on the offset only."""
    return all(len(weights) == 1 for weights in weights_by_offset(w).values())


def is_local(w: np.ndarray, kernel: tuple[int, int]) -> bool:
    """Say whether the weight vanishes at every offset outside of the kernel."""
    h, width = kernel
    inside = {(a, b) for a in range(h) for b in range(width)}
    return all(weights == {0} for offset, weights in weights_by_offset(w).items() if offset not in inside)


def main() -> None:
    weights = dense_parameters(PIXELS, CHANNELS, HIDDEN)
    print(f"{PIXELS:,} pixels x {CHANNELS} channels, fully connected to {HIDDEN} units: {weights:,} weights")

    image = np.random.default_rng(0).integers(-9, 10, (5, 6))
    kernel = np.array([[1, 2], [3, 4], [5, 6]])
    w = dense_weight(lambda x: corr2d(x, kernel), *image.shape)
    print(f"\ncorr2d of a {image.shape} image with a {kernel.shape} kernel, as a fully connected layer:")
    print(f"  its weight w[i, j, k, l] has shape {w.shape}")
    same = np.array_equal(np.tensordot(w, image, axes=2), corr2d(image, kernel))
    print(f"  the weight, contracted with an image, gives what corr2d gives: {same}")
    print(f"  it depends on the offset (k - i, l - j) only: {is_translation_invariant(w)}")
    print(f"  it vanishes beyond the kernel: {is_local(w, kernel.shape)}")
    print("  seen from output (1, 2), it is the kernel in place:", w[1, 2], sep="\n")

    random = np.random.default_rng(1).integers(-9, 10, w.shape)
    print("\nA fully connected layer with random weights:")
    print(f"  depends on the offset only: {is_translation_invariant(random)}")
    print(f"  vanishes beyond the kernel: {is_local(random, kernel.shape)}")

    offsets = len(weights_by_offset(w))
    print(f"\nParameters: {prod(w.shape)} fully connected, {offsets} translation invariant (one an offset),")
    print(f"{kernel.size} local too: the convolution's kernel.")


if __name__ == "__main__":
    main()
