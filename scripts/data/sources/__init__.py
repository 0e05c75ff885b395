"""Every way in which a dataset may come: a module each, all with the one face of ``Source``.

To add one is to write a module beside these that ends in ``SOURCE`` and to name it below. Most need
``find`` and ``read`` alone: ``scripts.data.files`` opens folders and archives safely, and
``scripts.data.records.paired`` brings captions, names of images and a split together and accounts
for what is left over.

``download`` finds and fetches, ``prepare_images`` reads, and neither knows one source from another;
``splits_beside`` holds each split that stands there against the one that is read. No later step
knows that there are any sources.
"""

from scripts.data.sources import archives, folder, kaggle, parquet
from scripts.data.sources.face import Source

# by the layout's name in source.json; told in this order where a folder is none of them
SOURCES: dict[str, Source] = {
    "archives": archives.SOURCE,
    "parquet": parquet.SOURCE,
    "kaggle": kaggle.SOURCE,
    "folder": folder.SOURCE,
}
