"""One boto3 operation for boto3.test.ts: python3 boto3_client.py <style> <endpoint> <operation> <arguments…>"""

import hashlib
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

style, endpoint, operation, *arguments = sys.argv[1:]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    config=Config(s3={"addressing_style": style}, retries={"max_attempts": 1}),
)


def upload(bucket, key, path):
    with open(path, "rb") as file:
        s3.upload_fileobj(file, bucket, key, ExtraArgs={"Metadata": {"who": "boto3"}})
    return s3.head_object(Bucket=bucket, Key=key)["Metadata"]


def download(bucket, key, path):
    with open(path, "wb") as file:
        s3.download_fileobj(bucket, key, file)


def get(bucket, key, **more):
    answer = s3.get_object(Bucket=bucket, Key=key, **more)
    body = answer["Body"].read()
    return {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body), "etag": answer["ETag"]}


def get_range(bucket, key, asked):
    return get(bucket, key, Range=asked)


def list_keys(bucket, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 2})
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def delete(bucket, key):
    s3.delete_object(Bucket=bucket, Key=key)
    try:
        s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return error.response["Error"]["Code"]


print(json.dumps(globals()[operation](*arguments)))
