"""The peer: the published article's handler as a bare Python Lambda function. One CreateStreamingURL."""

import json
import os

import boto3

appstream = boto3.client("appstream")


def lambda_handler(event, context):
    if not event["requestContext"].get("authorizer"):
        body = {"Error": "Authorization not configured", "Reference": context.aws_request_id}
        return {"statusCode": 500, "body": json.dumps(body)}
    username = event["requestContext"]["authorizer"]["claims"]["cognito:username"]
    answer = appstream.create_streaming_url(
        StackName=os.environ["PORTICO_STREAMING_STACK"],
        FleetName=os.environ["PORTICO_STREAMING_FLEET"],
        UserId=username[:32],
        Validity=5,
    )
    body = {"Message": answer["StreamingURL"], "Reference": context.aws_request_id}
    return {"statusCode": 201, "body": json.dumps(body), "headers": {"Access-Control-Allow-Origin": "*"}}
