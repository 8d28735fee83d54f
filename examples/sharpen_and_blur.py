"""Sharpen and blur a picture, with kernels that sum to 1, so that plain areas stay as they are.

Run ``python examples/sharpen_and_blur.py [--picture FILE]``; the file needs matplotlib.
"""

import argparse
from pathlib import Path

import numpy as np

from convcheck import corr2d

SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float)
BLUR = np.full((3, 3), 1 / 9)
SHADES = " .:-=+*#%@"


def moon(size: int = 20) -> np.ndarray:
    """Draw a grey disc on a dark sky, values between 0 and 1, with a square of a lighter grey on it."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    picture = np.where(x**2 + y**2 < (0.4 * size) ** 2, 0.6, 0.2)
    picture[size // 2 : size // 2 + 3, size // 2 : size // 2 + 3] = 0.8
    return picture


def contrast(picture: np.ndarray) -> float:
    """Measure the largest step between two neighbours in a row or a column."""
    return max(np.abs(np.diff(picture, axis=axis)).max() for axis in (0, 1))


def versions(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Filter the picture both ways; the original loses its border, which the kernels cannot reach."""
    return {
        "as it is": picture[1:-1, 1:-1],
        "sharpened": corr2d(picture, SHARPEN),
        "blurred": corr2d(picture, BLUR),
    }


def text(picture: np.ndarray) -> str:
    """Write a picture as characters, two for each pixel, since they are higher than wide."""
    levels = np.clip(np.rint(picture * (len(SHADES) - 1)), 0, len(SHADES) - 1).astype(int)
    return "\n".join("".join(2 * SHADES[level] for level in row) for row in levels)


def draw(pictures: dict[str, np.ndarray], file: Path) -> None:
    """Draw the pictures side by side into a file."""
    from matplotlib.figure import Figure  # only a picture needs it

    figure = Figure(figsize=(3 * len(pictures), 3.2), layout="constrained")
    for axes, (name, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set_title(name)
        axes.set_axis_off()
    figure.savefig(file)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Sharpen and blur a small picture.")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the three versions into FILE")
    file = parser.parse_args(arguments).picture
    pictures = versions(moon())
    for name, picture in pictures.items():
        print(f"The picture {name}, largest step between neighbours {contrast(picture):.2f}:")
        print(text(picture), end="\n\n")
    if file is not None:
        try:
            draw(pictures, file)
        except ModuleNotFoundError as missing:
            parser.exit(1, f"--picture needs matplotlib: {missing}\n")
        print(f"Drawn into {file}")


if __name__ == "__main__":
    main()
