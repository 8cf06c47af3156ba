"""Records what pandas makes of results in timm's inference.py.

    python tests/parity/timm_layout/record.py tests/goldens/timm_layout.json

The tables are those that inference.py (timm 1.0.31) builds: a column of names, then indices, labels and outputs, as lists
or as columns of their own.
"""

import json
import sys

import numpy as np
import pandas as pd

np.set_printoptions(threshold=sys.maxsize)


def table(names, indices, labels, outputs, separate, include_index, logit):
    columns = {"filename": names}
    kinds = [("index", np.array(indices))] if include_index else []
    kinds += [("label", np.array(labels, dtype=object)), ("logit" if logit else "prob", np.array(outputs, np.float32))]
    for name, values in kinds:
        if separate and values.shape[-1] > 1:
            for i in range(values.shape[-1]):
                columns[f"{name}_{i}"] = values[:, i]
        else:
            columns[name] = list(values.squeeze(-1) if values.shape[-1] == 1 else values)
    return pd.DataFrame(data=columns)


def main():
    random = np.random.default_rng(18)
    outputs = [
        [0.95134091, 0.0123456789, 3.2e-5, 1.1e-7, 5e-9],
        [0.5, 0.25, 0.125, 0.0625, 0.03125],
        [0.9, 0.05, 0.02, 0.01, 0.005],
        [0.12345678, 0.1234567, 0.123456, 0.012345678, 0.00123456789],
        [1.0, 1e-20, 1e-30, 1e-38, 0.0],
        [0.33333334, 0.33333334, 0.33333334, 0.0, 0.0],
    ]
    outputs += [sorted(row, reverse=True) for row in random.dirichlet([0.1] * 5, 8).tolist()]
    outputs += [sorted(row, reverse=True) for row in random.dirichlet([3] * 5, 8).tolist()]
    logits = random.normal(0, 4, (14, 5)).tolist() + [[12.0, -3.5, 100.25, -0.001, 123456.78]]
    odd = ["espresso", "coffee mug", "jack-o'-lantern", 'say "hi"', "it's \"both\"", "Käse 猫", "back\\slash", "a,b"]
    long = [f"class {i}, a name that is rather long and of many words" for i in range(20)]
    cases = []
    for rows, logit in [(outputs, False), (logits, True)]:
        for k in (1, 2, 5):
            for separate in (False, True):
                for include_index in (False, True):
                    cut = [[float(np.float32(value)) for value in row[:k]] for row in rows]
                    indices = [[(7 * i + 131 * j) % 1000 for j in range(k)] for i in range(len(cut))]
                    texts = odd + long
                    labels = [[texts[index % len(texts)] for index in row] for row in indices]
                    names = [f"dir/image {i}.jpg" for i in range(len(cut))]
                    names[:2] = ["dir/0.jpg", 'dir/"0", é.jpg']
                    data = table(names, indices, labels, cut, separate, include_index, logit)
                    cases.append({
                        "names": names, "indices": indices, "labels": labels, "outputs": cut, "separate": separate,
                        "include_index": include_index, "logit": logit, "csv": data.to_csv(index=False),
                        "json": data.set_index("filename").to_json(orient="index", indent=4),
                    })
    with open(sys.argv[1], "w") as file:
        json.dump(cases, file, separators=(",", ":"))


main()
