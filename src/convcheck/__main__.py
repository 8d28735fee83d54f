"""``python -m convcheck``."""

from __future__ import annotations

from convcheck.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
