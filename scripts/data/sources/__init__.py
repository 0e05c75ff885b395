"""Every way in which a dataset may come: one module each, all with the face of ``Source``.

To add one is to write a module beside these and to name it below. It ends in ``SOURCE``, a
``Source`` of a few functions:

``find(root)``
    Which files below a folder make up such a dataset, by what stands there; None for a folder of
    another kind. It opens as little as tells them apart.
``read(root, paths, findings)``
    The images of these files one by one, each a ``Record`` of its captions, its split and a way to
    read its bytes. ``findings`` takes what is odd or set aside. Most sources read captions and
    names of images and leave the pairing to ``scripts.data.records.paired``.
``split_files``
    Names of the files that its own split is read from.
``home``
    How it is fetched, where it comes from the net.

``download`` finds and fetches, ``prepare_images`` reads, and ``splits_beside`` holds what tells a
split against what is read; none of them knows one source from another, and no later step knows
that there are any. ``scripts.data.files`` opens folders and archives safely.
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
