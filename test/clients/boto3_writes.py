"""Writes for writes-boto3.test.ts: python3 boto3_writes.py <style> <endpoint> <bucket> [[operation, {arguments}], …]

Answers the checksum algorithms that this boto3 has.
"""

import json
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.compat import HAS_CRT
from botocore.config import Config

style, endpoint, bucket, steps = sys.argv[1:]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    config=Config(s3={"addressing_style": style}, retries={"max_attempts": 1}),
)


class Forward:
    """A file that can't be rewound, and whose length is not known."""

    def __init__(self, file):
        self.read = file.read


def put(path, **more):
    with open(path, "rb") as file:
        s3.put_object(Bucket=bucket, Body=file, **more)


def upload(path, Key, forward=False, part_size=8 * 2**20, **more):
    config = TransferConfig(multipart_threshold=part_size, multipart_chunksize=part_size, max_concurrency=3)
    with open(path, "rb") as file:
        s3.upload_fileobj(Forward(file) if forward else file, bucket, Key, ExtraArgs=more, Config=config)


def delete(keys):
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})


for operation, arguments in json.loads(steps):
    globals()[operation](**arguments)
print(json.dumps(["CRC32", "SHA1", "SHA256"] + (["CRC32C", "CRC64NVME"] if HAS_CRT else [])))
