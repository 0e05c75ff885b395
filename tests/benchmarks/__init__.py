"""How fast, against what others do: `./run bench`; docs/benchmarks.md tells what is measured."""
