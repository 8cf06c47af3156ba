"""Classifies the images of a Parquet data set on a Spark cluster.

    spark-submit --master spark://HOST:7077 --conf spark.task.cpus=1 spark.py IN OUT [--model NAME]

IN has a column `image`: the bytes of files, or the struct of bytes and path of Hugging Face's datasets. OUT has its other
columns and `index`, `label`, `probability` and `error`; an image that fails is a row with an error.
"""

import argparse

import effnet
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.types import FloatType, IntegerType, StringType, StructField, StructType


def classify(frames, model, cpus):
    """The rows of one task, which has a model of its own."""
    classifier = effnet.create_model(model, threads=cpus)
    for frame in frames:
        images = [image["bytes"] or image["path"] if isinstance(image, dict) else image for image in frame["image"]]
        results = classifier.classify(images, k=1, errors="return")
        best = [None if isinstance(result, Exception) else result[0] for result in results]
        frame = frame.drop(columns="image")
        frame["index"] = pd.array([p and p.index for p in best], "Int32")
        frame["label"] = [p and p.label for p in best]
        frame["probability"] = pd.array([p and p.probability for p in best], "Float32")
        frame["error"] = [str(result) if isinstance(result, Exception) else None for result in results]
        yield frame


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model")
    args = parser.parse_args()
    spark = SparkSession.builder.appName("effnet").getOrCreate()
    # Files of images are large: fewer rows at a time, and smaller tasks.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 64)
    spark.conf.set("spark.sql.files.maxPartitionBytes", 32 << 20)
    cpus = int(spark.conf.get("spark.task.cpus", "1"))
    images = spark.read.parquet(args.input)
    answers = [
        StructField("index", IntegerType()),
        StructField("label", StringType()),
        StructField("probability", FloatType()),
        StructField("error", StringType()),
    ]
    schema = StructType([field for field in images.schema if field.name != "image"] + answers)
    rows = images.mapInPandas(lambda frames: classify(frames, args.model, cpus), schema)
    rows.write.mode("overwrite").parquet(args.output)


if __name__ == "__main__":
    main()
