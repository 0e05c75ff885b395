"""What contenders work on: a ViT-B/32 of random weights, captions, JPEGs like photos, features.

Nothing is downloaded. Speed does not depend on what the weights are, so they are drawn; the same
ones go into both architectures, which then have to find the same.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.race import ROOT

# real captions, where they lie beside the repository
FLICKR8K = ROOT.parent / "shared" / "flickr8k" / "Flickr8k_text.zip"
# words of a caption in Flickr8k, the full stop being one: mean and standard deviation
WORDS = (11.8, 3.9)
CAPTIONS_PER_IMAGE = 5
VOCABULARY, CONTEXT = 49408, 77
# weight of each octave against all finer ones, and JPEG's quality: together they give the 136 kB
# that photos of Flickr8k have
COARSER, QUALITY = 0.2, 95


def captions_of(images: int) -> tuple[list[list[str]], str]:
    """Five captions for each image, and where they are from: real ones for up to 1,000."""
    if FLICKR8K.is_file() and images <= 1000:
        return _flickr8k()[:images], "the captions of Flickr8k's test split"
    return [like_flickr8k(image) for image in range(images)], "made, as long as Flickr8k's"


def _flickr8k() -> list[list[str]]:
    with zipfile.ZipFile(FLICKR8K) as archive:
        lines = archive.read("Flickr8k.token.txt").decode("utf-8").splitlines()
        names = archive.read("Flickr_8k.testImages.txt").decode("utf-8").split()
    captions: dict[str, list[str]] = {}
    for line in lines:
        key, caption = line.split("\t")
        captions.setdefault(key.split("#")[0], []).append(caption.strip())
    return [captions[name] for name in names]


def like_flickr8k(image: int) -> list[str]:
    """Captions of drawn scenes, joined and cut so that their words are as many as Flickr8k's."""
    from scripts.data.draw_scenes import captions_of_scene

    lot = np.random.default_rng([7, image])
    counts = np.clip(np.rint(lot.normal(*WORDS, CAPTIONS_PER_IMAGE)), 4, 30).astype(int)
    made = []
    for number, count in enumerate(counts):
        words: list[str] = []
        while len(words) < count:
            scene = captions_of_scene(number, "test", image * 10 + len(words))
            words += (["and"] if words else []) + scene[lot.integers(len(scene))].split()
        made.append(" ".join(words[:count]))
    return made


def draw_photos(folder: Path, count: int) -> list[Path]:
    """JPEGs of 500 by 375 pixels, every third upright, as large in bytes as photos are.

    Clouds of noise, each octave weaker than the coarser one before, as photos have it; what a
    decoder and a resizer have to do depends on sizes and bytes alone.
    """
    from PIL import Image, ImageOps

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        lot = np.random.default_rng([11, number])
        size = (375, 500) if number % 3 == 2 else (500, 375)
        picture = None
        for side in (512, 256, 128, 64, 32, 16, 8, 4):
            noise = lot.integers(0, 256, (side * 3 // 4, side, 3), dtype=np.uint8)
            layer = Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR)
            picture = Image.blend(picture, layer, COARSER) if picture else layer
        path = folder / f"{number:05d}.jpg"
        ImageOps.autocontrast(picture).save(path, quality=QUALITY)
        paths.append(path)
    return paths


def make_model(folder: Path, layers: int, **narrow: int) -> Path:
    """model.json of CLIP ViT-B/32 with random weights, of so many layers, in the files of hubs.

    ``narrow`` says what both towers have in place of ViT-B/32's: hidden_size and what goes with it.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel

    from scripts.models.folder import write_provenance
    from scripts.models.new_clip import MEAN, STD

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    # where nothing is said, transformers' configuration is that of ViT-B/32
    deep = {"num_hidden_layers": layers, **narrow}
    text = {"bos_token_id": start, "eos_token_id": end} | deep
    config = CLIPConfig(text_config=text, vision_config=deep)
    torch.manual_seed(0)
    model = CLIPModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embedding" not in name:
                # as drawn, all images are nearly alike to it: larger weights tell them apart
                weight *= 1.5
    model.save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    write_provenance(folder, "bench", "local")
    return folder / "model.json"


def _tokenizer():
    """CLIP's own, as open_clip brings its pieces."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    from scripts.models.new_clip import END, START, WORD_END

    pieces = Path(importlib.util.find_spec("open_clip").origin)
    pieces = pieces.with_name("bpe_simple_vocab_16e6.txt.gz")
    with gzip.open(pieces, "rt", encoding="utf-8") as stream:
        # the first line is the version; behind CLIP's own merges stand others that it has not
        lines = stream.read().split("\n")[1 : VOCABULARY - 512 - 2 + 1]
    merges = [tuple(line.split()) for line in lines]
    # bytes that can be printed come first, in their order; then those with a stand-in, in theirs
    letters = sorted(ByteLevel.alphabet(), key=lambda letter: (ord(letter) > 255, ord(letter)))
    pieces = [*letters, *(letter + WORD_END for letter in letters)]
    pieces += ["".join(merge) for merge in merges] + [START, END]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CONTEXT)


def for_open_clip(model: Path, target: Path) -> None:
    """Write the weights beside ``model`` (model.json) as open_clip names and shapes them."""
    import torch
    from safetensors.torch import load_file, save_file

    given = load_file(model.parent / "model.safetensors")
    made = {
        "logit_scale": given["logit_scale"],
        "visual.class_embedding": given["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": given["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": given["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": given["visual_projection.weight"].T,
        "token_embedding.weight": given["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": given["text_model.embeddings.position_embedding.weight"],
        "text_projection": given["text_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        made[f"visual.ln_pre.{kind}"] = given[f"vision_model.pre_layrnorm.{kind}"]
        made[f"visual.ln_post.{kind}"] = given[f"vision_model.post_layernorm.{kind}"]
        made[f"ln_final.{kind}"] = given[f"text_model.final_layer_norm.{kind}"]
    for ours, theirs in (("vision_model", "visual.transformer"), ("text_model", "transformer")):
        for layer in range(sum(name.endswith("fc1.bias") for name in given) // 2):
            old, new = f"{ours}.encoder.layers.{layer}", f"{theirs}.resblocks.{layer}"
            for kind in ("weight", "bias"):
                made[f"{new}.attn.in_proj_{kind}"] = torch.cat(
                    [given[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                )
                made[f"{new}.attn.out_proj.{kind}"] = given[f"{old}.self_attn.out_proj.{kind}"]
                made[f"{new}.ln_1.{kind}"] = given[f"{old}.layer_norm1.{kind}"]
                made[f"{new}.ln_2.{kind}"] = given[f"{old}.layer_norm2.{kind}"]
                made[f"{new}.mlp.c_fc.{kind}"] = given[f"{old}.mlp.fc1.{kind}"]
                made[f"{new}.mlp.c_proj.{kind}"] = given[f"{old}.mlp.fc2.{kind}"]
    save_file({name: value.contiguous() for name, value in made.items()}, target)


def make_open_clip(folder: Path, model: Path) -> Path:
    """model.json of the model beside ``model`` (model.json) as open_clip publishes one."""
    from scripts.models.folder import write_provenance
    from scripts.models.new_clip import MEAN, STD

    folder.mkdir()
    for_open_clip(model, folder / "open_clip_model.safetensors")
    towers = json.loads((model.parent / "config.json").read_text("utf-8"))
    layers = {"layers": towers["vision_config"]["num_hidden_layers"]}
    config = {"embed_dim": 512, "quick_gelu": True}
    config["vision_cfg"] = {"image_size": 224, "width": 768, "patch_size": 32} | layers
    config["text_cfg"] = {"context_length": CONTEXT, "vocab_size": VOCABULARY} | layers
    config["text_cfg"] |= {"width": 512, "heads": 8}
    whole = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole), "utf-8")
    write_provenance(folder, "bench", "local")
    return folder / "model.json"


def features(count: int, seed: int, dimensions: int = 512) -> np.ndarray:
    """(count, dimensions) float32 unit rows, as far apart as random directions are."""
    lot = np.random.default_rng(seed)
    rows = np.empty((count, dimensions), dtype=np.float32)
    for start in range(0, count, 2**16):
        part = rows[start : start + 2**16]
        lot.standard_normal(out=part, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def images_and_captions(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of images, and of five captions for each that lie near their image."""
    gallery = features(images, 1)
    texts = features(images * CAPTIONS_PER_IMAGE, 2)
    # a cosine of 0.13 with the own image: about a third find it first among thousands
    texts += 0.13 * np.repeat(gallery, CAPTIONS_PER_IMAGE, axis=0)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return gallery, texts
