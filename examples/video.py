"""Detect motion in a video: a 3-D kernel that subtracts each frame from the next sees only what moves.

Run ``python examples/video.py``.
"""

import numpy as np

from convcheck import corr3d

# Sizes 2, 1, 1 along time, height and width.
MOTION = np.array([-1, 1]).reshape(2, 1, 1)
MARKS = {-1: "-", 0: ".", 1: "+"}


def crossing_ball(frames: int = 4, height: int = 5, width: int = 9) -> np.ndarray:
    """Film a ball of 2 x 2 pixels that moves right by one pixel a frame, and a wall that stands still."""
    video = np.zeros((frames, height, width), int)
    video[:, :, -1] = 1
    for t in range(frames):
        video[t, 1:3, t + 1 : t + 3] = 1
    return video


def motion(video: np.ndarray) -> np.ndarray:
    """Mark every pixel between two frames: 1 where something came, -1 where something left, otherwise 0."""
    return corr3d(video, MOTION)


def main() -> None:
    video = crossing_ball()
    print(f"A video of shape {video.shape}, its first frame:")
    print("\n".join("".join(".#"[pixel] for pixel in row) for row in video[0]))
    for t, frame in enumerate(motion(video)):
        print(f"\nFrom frame {t} to {t + 1}, + came and - left; the wall is gone:")
        print("\n".join("".join(MARKS[pixel] for pixel in row) for row in frame.tolist()))


if __name__ == "__main__":
    main()
