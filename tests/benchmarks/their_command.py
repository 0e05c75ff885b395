"""clip_benchmark's own command line, beside a torch that torchvision was not built for."""

import sys

from scripts.models.backends.open_clip import open_torchvision

if __name__ == "__main__":
    open_torchvision()
    from clip_benchmark.cli import main

    sys.exit(main())
