"""The peer: the tutorial's handler as a bare Python Lambda function. A random pick and one PutItem."""

import json
import os
import random
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import boto3

dynamodb = boto3.client("dynamodb")
FLEET = [
    {"Name": "Angel", "Color": "White", "Gender": "Female"},
    {"Name": "Gil", "Color": "White", "Gender": "Male"},
    {"Name": "Rocinante", "Color": "Yellow", "Gender": "Female"},
]


def lambda_handler(event, context):
    if not event["requestContext"].get("authorizer"):
        return {"statusCode": 500, "body": json.dumps({"Error": "Authorization not configured"})}
    ride_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    username = event["requestContext"]["authorizer"]["claims"]["cognito:username"]
    json.loads(event["body"])["PickupLocation"]
    unicorn = random.choice(FLEET)
    dynamodb.put_item(
        TableName=os.environ["PORTICO_RIDES_TABLE"],
        Item={
            "RideId": {"S": ride_id},
            "User": {"S": username},
            "Unicorn": {"M": {name: {"S": value} for name, value in unicorn.items()}},
            "RequestTime": {"S": datetime.now(UTC).isoformat()},
        },
    )
    body = {"RideId": ride_id, "Unicorn": unicorn, "Eta": "30 seconds", "Rider": username}
    return {"statusCode": 201, "body": json.dumps(body), "headers": {"Access-Control-Allow-Origin": "*"}}
