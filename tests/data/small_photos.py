"""Five photos with their captions and split, and ways to write them down."""

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path

SPLITS = {"a.jpg": "train", "b c.jpg": "train", "d.jpg": "val", "图.jpg": "test", "e.f.png": "test"}
CAPTIONS = {
    "a.jpg": ["A dog, brown, runs .", 'A sign says "stop" .'],
    "b c.jpg": ["'Tis a cat | a small one ;", "Two cats"],
    "d.jpg": ["猫坐在垫子上", "a cat"],
    "图.jpg": ["One #1 of many #2", "a bird"],
    "e.f.png": ["the sea", "a wave"],
}
LISTS = dict(zip(("train", "val", "test"), ("train", "dev", "test"), strict=True))


def drawn() -> dict[str, bytes]:
    """Five photos by name."""
    from PIL import Image

    found = {}
    for number, name in enumerate(CAPTIONS):
        stream = io.BytesIO()
        kind = "PNG" if name.endswith("png") else "JPEG"
        Image.new("RGB", (9, 7), (40 * number, 90, 200)).save(stream, kind)
        found[name] = stream.getvalue()
    return found


def put(folder: Path, files: dict[str, bytes | str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def packed(files: dict[str, bytes | str], kind: str) -> bytes:
    """An archive of these files: "zip", "tar" or "tar.gz"."""
    stream = io.BytesIO()
    contents = {n: c if isinstance(c, bytes) else c.encode() for n, c in files.items()}
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=stream, mode=f"w:{kind[4:]}") as archive:
            for name, content in contents.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def table(rows, delimiter=",", **how) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, **how).writerows(rows)
    return stream.getvalue()


ROWS = [(name, text) for name, texts in CAPTIONS.items() for text in texts]
IMAGES = [
    {
        "filename": name,
        "split": SPLITS[name],
        "sentences": [{"raw": text, "tokens": text.split()} for text in texts],
    }
    for name, texts in CAPTIONS.items()
]
COCO = {
    "info": {},
    "images": [{"id": 7 + n, "file_name": name} for n, name in enumerate(CAPTIONS)],
    "annotations": [
        {"id": n, "image_id": 7 + [*CAPTIONS].index(name), "caption": f"{text}\n"}
        for n, (name, text) in enumerate(ROWS)
    ],
}
OWN_SPLITS = json.dumps(
    {split: [name for name in SPLITS if SPLITS[name] == split] for split in LISTS}
)


def below(photos, folder="images/{}"):
    return {folder.format(name, split=SPLITS[name]): content for name, content in photos.items()}


def records(**more):
    return [
        {"image": n, "captions": t} | {k: f(n) for k, f in more.items()}
        for n, t in CAPTIONS.items()
    ]


def by_split(**files):
    """A file of each split's rows, as ``make`` writes them."""
    make = files.pop("make")
    (pattern,) = files.values()
    return {
        pattern.format(LISTS[split]): make([n for n in CAPTIONS if SPLITS[n] == split])
        for split in LISTS
    }


def lines(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def of_names(names, key="file_name"):
    return lines({key: f"{n}", "text": CAPTIONS[n]} for n in names)
