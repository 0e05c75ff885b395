"""How fast, against what others do: `./run bench`; docs/benchmarks.md tells what is measured."""

import sys

# as the product does before it imports transformers; a model of open_clip brings it back
sys.modules.setdefault("torchvision", None)
