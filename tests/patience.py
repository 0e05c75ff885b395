"""How long tests wait for what has to come: machines may be slow, and no test measures that."""

# seconds after which what is waited for is taken to hang
LONG = 1800
