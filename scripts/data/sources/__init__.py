"""Every way in which a dataset may come: a module each, all with the one face of ``Source``.

To add one is to write a module beside these that ends in ``SOURCE`` and to name it below. Most need
``find`` and ``read`` alone: ``scripts.data.place`` opens what stands there safely,
``scripts.data.kinds`` tells which file holds the captions, and ``scripts.data.told`` brings
captions, pictures and a split together and accounts for what is left over.

``download`` finds and fetches, ``prepare_images`` reads, and neither knows one source from another;
``splits_beside`` holds each split that stands there against the one that is read. No later step
knows that there are any sources.
"""

from scripts.data.sources import (
    archives,
    coco,
    folder,
    imagefolder,
    kaggle,
    karpathy,
    pairs,
    parquet,
    table,
    tokens,
    webdataset,
)
from scripts.data.sources.face import Source

# by the layout's name in source.json; told in this order where a folder is none of them, and asked
# in it: what one has found to be its own, no later one takes for captions of another kind
SOURCES: dict[str, Source] = {
    "folder": folder.SOURCE,
    "archives": archives.SOURCE,
    "parquet": parquet.SOURCE,
    "kaggle": kaggle.SOURCE,
    "karpathy": karpathy.SOURCE,
    "coco": coco.SOURCE,
    "table": table.SOURCE,
    "tokens": tokens.SOURCE,
    "imagefolder": imagefolder.SOURCE,
    "webdataset": webdataset.SOURCE,
    "pairs": pairs.SOURCE,
}
