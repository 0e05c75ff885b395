"""The five photos in every layout that people have.

Each is a function of the photos: the layout, its files, whether it has the split, and options.
"""

import csv
import json
from pathlib import Path

from small_photos import (
    CAPTIONS,
    COCO,
    IMAGES,
    LISTS,
    OWN_SPLITS,
    ROWS,
    SPLITS,
    below,
    by_split,
    lines,
    of_names,
    packed,
    records,
    table,
)

LAYOUTS = {
    "records with further keys": lambda p: (
        "folder",
        below(p) | {"captions.json": json.dumps(records(id=len, split=SPLITS.get))},
        True,
        {},
    ),
    "a caption a record": lambda p: (
        "folder",
        below(p, "{}") | {"x_test.json": json.dumps([{"image": n, "caption": t} for n, t in ROWS])},
        False,
        {},
    ),
    "a mapping with lists of names": lambda p: (
        "folder",
        below(p)
        | {"captions.json": json.dumps(CAPTIONS)}
        | by_split(to="{}.txt", make=lambda names: "\r\n".join(Path(n).stem for n in names)),
        True,
        {},
    ),
    "records by split": lambda p: (
        "folder",
        below(p)
        | {
            "all.json": json.dumps(
                {s: [r for r in records() if SPLITS[r["image"]] == s] for s in LISTS}
            )
        },
        True,
        {},
    ),
    "records for each split": lambda p: (
        "folder",
        below(p, "photos/{}")
        | by_split(
            to="flickr_{}.json",
            make=lambda names: json.dumps(
                [{"image": f"photos/{n}", "caption": CAPTIONS[n]} for n in names]
            ),
        ),
        True,
        {},
    ),
    "karpathy": lambda p: (
        "karpathy",
        below(p, "Flickr8k/{}") | {"dataset.json": json.dumps({"images": IMAGES})},
        True,
        {},
    ),
    "karpathy of coco": lambda p: (
        "karpathy",
        below(p, "{split}2014/{}")
        | {
            "dataset_coco.json": json.dumps(
                {
                    "images": [
                        one
                        | {
                            "filepath": f"{one['split']}2014",
                            "split": one["split"].replace("train", "restval"),
                        }
                        for one in IMAGES
                    ]
                }
            )
        },
        True,
        {},
    ),
    "coco": lambda p: (
        "coco",
        below(p, "val2017/{}")
        | {
            "annotations/captions_val2017.json": json.dumps(COCO),
            "annotations/instances_val2017.json": json.dumps({"images": [], "annotations": []}),
        },
        False,
        {},
    ),
    "nocaps": lambda p: (
        "coco",
        below(p)
        | {
            "nocaps.json": json.dumps(
                COCO
                | {
                    "images": [
                        {"id": one["id"], "coco_url": f"https://x.org/i/{one['file_name']}"}
                        for one in COCO["images"]
                    ]
                }
            )
        },
        False,
        {},
    ),
    "csv of paths": lambda p: (
        "table",
        below(p, "pictures/{}")
        | {"train.csv": table([["filepath", "title"], *((f"pictures/{n}", t) for n, t in ROWS)])},
        False,
        {},
    ),
    "tsv with a mark, a split and windows": lambda p: (
        "table",
        below(p)
        | {
            "captions.tsv": "\ufeff"
            + table(
                [["File Name", "text", "SPLIT"], *((n, t, SPLITS[n].upper()) for n, t in ROWS)],
                "\t",
            )
        },
        True,
        {},
    ),
    "raw tabs": lambda p: (
        "table",
        below(p) | {"c.tsv": "image\tcaption\n" + "".join(f"{n}\t{t}\n" for n, t in ROWS)},
        False,
        {},
    ),
    "semicolons and an index": lambda p: (
        "table",
        below(p)
        | {
            "c.csv": table(
                [["", "image", "caption"], *((i, n, t) for i, (n, t) in enumerate(ROWS))], ";"
            )
        },
        False,
        {},
    ),
    "numbered columns, commas with blanks": lambda p: (
        "table",
        below(p)
        | {
            "c.csv": table(
                [["image", "caption_1", "caption_2"], *((n, *t) for n, t in CAPTIONS.items())],
                quoting=csv.QUOTE_ALL,
            ).replace('","', '", "')
        },
        False,
        {},
    ),
    "lists in cells": lambda p: (
        "table",
        below(p)
        | {
            "c.csv": table(
                [
                    ["filename", "raw", "sentids"],
                    *(
                        (n, str(t) if i else json.dumps(t), "[0, 1]")
                        for i, (n, t) in enumerate(CAPTIONS.items())
                    ),
                ]
            )
        },
        False,
        {},
    ),
    "no names of columns": lambda p: (
        "table",
        below(p) | {"c.txt": "".join(f"{n}\t{t}\n" for n, t in ROWS)},
        False,
        {},
    ),
    "columns of other names": lambda p: (
        "table",
        below(p)
        | {"c.csv": table([["foto", "was", "part"], *((n, t, SPLITS[n]) for n, t in ROWS)])},
        True,
        {"columns": {"image": "foto", "caption": "was", "split": "part"}},
    ),
    "columns by number": lambda p: (
        "table",
        below(p)
        | {
            "c.txt": "".join(f"{Path(n).stem} {t}\n" for n, t in ROWS if " " not in n)
            + "".join(f"b%20c.jpg {t}\n" for t in CAPTIONS["b c.jpg"])
        },
        False,
        {"separator": " ", "columns": {"image": "0", "caption": "1"}, "captions": "c.txt"},
    ),
    "json lines": lambda p: (
        "table",
        below(p) | {"c.jsonl": lines(records(split=SPLITS.get))},
        True,
        {},
    ),
    "json lines by another suffix": lambda p: (
        "table",
        below(p) | {"c.json": lines(records())},
        False,
        {},
    ),
    "a table for each split": lambda p: (
        "table",
        below(p)
        | by_split(
            to="{}.csv",
            make=lambda names: table([["image", "text"], *(r for r in ROWS if r[0] in names)]),
        ),
        True,
        {},
    ),
    "results.csv": lambda p: (
        "table",
        below(p, "flickr30k_images/{}")
        | {
            "flickr30k_images/results.csv": "image_name| comment_number| comment\n"
            + "".join(f"{n}| {i % 2}| {t}\n" for i, (n, t) in enumerate(ROWS))
        },
        False,
        {},
    ),
    "kaggle": lambda p: (
        "table",
        below(p, "Images/{}")
        | {"captions.txt": table([["image", "caption"], *ROWS])}
        | by_split(to="Flickr_8k.{}Images.txt", make="\n".join),
        True,
        {},
    ),
    "a token file": lambda p: (
        "tokens",
        below(p, "flickr30k-images/{}")
        | {
            "results_20130124.token": "".join(
                f"{n}#{1 - i % 2}\t{t}\r\n" for i, (n, t) in reversed([*enumerate(reversed(ROWS))])
            )
        },
        False,
        {},
    ),
    "a token file of another language": lambda p: (
        "tokens",
        below(p)
        | {
            "flickr8kzhc.caption.txt": "".join(
                f"{Path(n).stem.replace(' ', '%20')}#zhc#{i % 2} {t}\n"
                for i, (n, t) in enumerate(ROWS)
            ),
            "splits.json": OWN_SPLITS,
        },
        True,
        {},
    ),
    "an image folder": lambda p: (
        "imagefolder",
        below(p, "{split}/{}")
        | {
            f"{split}/metadata.jsonl": of_names(n for n in CAPTIONS if SPLITS[n] == split)
            for split in LISTS
        },
        True,
        {},
    ),
    "an image folder with one table": lambda p: (
        "imagefolder",
        below(p, "data/{}")
        | {
            "data/metadata.csv": table(
                [
                    ["image", "file_name", "caption_0", "caption_1"],
                    *(("x", n, *t) for n, t in CAPTIONS.items()),
                ]
            )
        },
        False,
        {},
    ),
    "pairs": lambda p: (
        "pairs",
        below(p, "{}")
        | {f"{n[:-4]}.txt": "\r\n".join(t) + "\r\n\r\n" for n, t in CAPTIONS.items()},
        False,
        {},
    ),
    "pairs in folders of splits": lambda p: (
        "pairs",
        below(p, "{split}/{}")
        | {f"{SPLITS[n]}/{n[:-4]}.txt": "\n".join(t) for n, t in CAPTIONS.items()},
        True,
        {},
    ),
    "pairs in two folders": lambda p: (
        "pairs",
        below(p, "image/{}") | {f"caption/{n[:-4]}.txt": "\n".join(t) for n, t in CAPTIONS.items()},
        False,
        {},
    ),
    "pairs with json": lambda p: (
        "pairs",
        below(p, "{}")
        | {f"{n[:-4]}.json": json.dumps({"captions": t, "url": "x"}) for n, t in CAPTIONS.items()},
        False,
        {},
    ),
    "an archive of the seed's": lambda p: (
        "folder",
        {
            "mine.tar.gz": packed(
                {
                    f"mine/{n}": c
                    for n, c in (
                        below(p) | {"captions.json": json.dumps(records(split=SPLITS.get))}
                    ).items()
                },
                "tar.gz",
            )
        },
        True,
        {},
    ),
    "an archive of the photos": lambda p: (
        "karpathy",
        {
            "val2014.zip": packed(below(p, "val2014/{}"), "zip"),
            "caption_datasets.zip": packed(
                {"dataset_x.json": json.dumps({"images": IMAGES})}, "zip"
            ),
        },
        True,
        {},
    ),
    "an archive beside what was unpacked of it": lambda p: (
        "table",
        below(p) | {"all.zip": packed(below(p), "zip"), "c.jsonl": lines(records())},
        False,
        {},
    ),
    "an archive of pairs": lambda p: (
        "webdataset",
        {
            "pairs.tar": packed(
                below(p, "{}") | {f"{n[:-4]}.txt": "\n".join(t) for n, t in CAPTIONS.items()}, "tar"
            )
        },
        False,
        {},
    ),
    "images that are said": lambda p: (
        "table",
        below(p, "small/{}") | below(p, "large/{}") | {"c.jsonl": lines(records())},
        False,
        {"images": "large"},
    ),
    "captions that are said": lambda p: (
        "folder",
        below(p) | {"en.json": json.dumps(records()), "de.json": json.dumps([])},
        False,
        {"captions": "en.json"},
    ),
    "a layout that is said": lambda p: (
        "table",
        below(p) | {"c.jsonl": lines(records()), "c.json": json.dumps({"images": IMAGES})},
        False,
        {"layout": "table"},
    ),
    "one of several languages, in rows": lambda p: (
        "table",
        below(p)
        | {
            "c.csv": table(
                [
                    ["image", "lang", "caption"],
                    *((n, "en", t) for n, t in ROWS),
                    *((n, "de", "x") for n, _ in ROWS),
                ]
            )
        },
        False,
        {"language": "en"},
    ),
    "one of several languages, in columns": lambda p: (
        "table",
        below(p)
        | {
            "c.csv": table([["image", "caption_de", "caption_en"], *((n, "x", t) for n, t in ROWS)])
        },
        False,
        {"language": "en"},
    ),
    "one of several languages, in objects": lambda p: (
        "table",
        below(p)
        | {
            "captions.jsonl": lines(
                {
                    "image/key": Path(n).stem,
                    "image/locale": "de",
                    "de": {"caption": ["x"]},
                    "en": {"caption": t},
                }
                for n, t in CAPTIONS.items()
            )
        },
        False,
        {"language": "en"},
    ),
}


def shards(photos, names, kind="tar"):
    """Shards of a split, the second without the first's number but one."""
    files = {}
    for number, own in enumerate([names[:1], names[1:]]):
        members = {}
        for name in own:
            stem, _, suffix = name.rpartition(".")
            stem = stem.replace(".", "_")
            members[f"{stem}.{suffix}"] = photos[name]
            text = json.dumps({"captions": CAPTIONS[name], "url": "x"})
            members |= (
                {f"{stem}.json": text}
                if number
                else {
                    f"{stem}.txt": "\n".join(CAPTIONS[name]),
                    f"{stem}.json": '{"caption": "other"}',
                }
            )
        if own:
            files[f"{2 * number:05d}.{kind}"] = packed(members, kind)
    return files
