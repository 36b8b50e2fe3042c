"""PPAP Studio from a checkout: ``python app.py`` and open the address it prints."""

from __future__ import annotations

from ppap.studio.main import main

if __name__ == "__main__":
    main()
