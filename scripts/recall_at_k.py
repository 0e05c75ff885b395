"""From pictures and sentences to Recall@K, plainly: python recall_at_k.py MODEL DATASET SPLIT."""

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model_folder, dataset, split = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
model = AutoModel.from_pretrained(
    model_folder, local_files_only=True, trust_remote_code=False
).eval()
prepare = AutoImageProcessor.from_pretrained(
    model_folder, backend="pil", local_files_only=True, trust_remote_code=False
)
tokenize = AutoTokenizer.from_pretrained(
    model_folder, local_files_only=True, trust_remote_code=False
)
chosen = set(json.loads((dataset / "splits.json").read_text("utf-8"))[split])
listed = json.loads((dataset / "captions.json").read_text("utf-8"))
records = [record for record in listed if record["image"] in chosen]
captions = [caption for record in records for caption in record["captions"]]
owner = torch.tensor([row for row, record in enumerate(records) for _ in record["captions"]])

with torch.inference_mode():  # 1. encode, and bring every feature to length one
    pictures = [Image.open(dataset / "images" / r["image"]).convert("RGB") for r in records]
    pixels = prepare(pictures, return_tensors="pt")
    tokens = tokenize(captions, padding="max_length", truncation=True, return_tensors="pt")
    images = torch.nn.functional.normalize(model.get_image_features(**pixels).pooler_output, dim=-1)
    texts = torch.nn.functional.normalize(model.get_text_features(**tokens).pooler_output, dim=-1)

scores = texts @ images.T  # 2. the cosine of each caption with each image
right = owner[:, None] == torch.arange(len(records))  # 3. which pairs belong together
for name, s, r in (("text to image", scores, right), ("image to text", scores.T, right.T)):
    best = s.masked_fill(~r, -2).amax(1)  # 4. the best right answer; what scores as high is ahead
    rank = 1 + ((s >= best[:, None] - 1e-6) & ~r).sum(1)
    print(name, {k: round((rank <= k).double().mean().item(), 4) for k in (1, 5, 10)})
