"""AWS's prices and default quotas, as their pages state them."""

from __future__ import annotations

from typing import NamedTuple

REGION = "us-east-1"
STATED = "2026-11"


class Price(NamedTuple):
    """Dollars for one unit, and the page of aws.amazon.com that says so."""

    name: str
    dollars: float
    unit: str
    source: str


class Quota(NamedTuple):
    """A default quota of AWS in one account and region."""

    name: str
    most: float
    unit: str


PRICES = {
    "lambda_second": Price("Lambda, arm64", 0.0000133334, "GB-second", "lambda"),
    "lambda_request": Price("Lambda, invocations", 0.20, "million", "lambda"),
    "sqs": Price("SQS, standard queue (64 KB a request)", 0.40, "million requests", "sqs"),
    "sqs_fair": Price("SQS, more for messages with a group (fair queue)", 0.10, "million requests", "sqs"),
    "write": Price("DynamoDB on demand, writes of 1 KB", 0.625, "million", "dynamodb"),
    "read": Price("DynamoDB on demand, reads of 4 KB", 0.125, "million", "dynamodb"),
    "stored": Price("DynamoDB, storage", 0.25, "GB-month", "dynamodb"),
    "http": Price("HTTP API", 1.00, "million requests", "api-gateway"),
    "event": Price("EventBridge, custom events", 1.00, "million", "eventbridge"),
    "firing": Price("EventBridge Scheduler", 1.00, "million invocations", "eventbridge"),
    "logs": Price("CloudWatch Logs, taken in", 0.50, "GB", "cloudwatch"),
    "logs_kept": Price("CloudWatch Logs, kept", 0.03, "GB-month", "cloudwatch"),
    "metric": Price("CloudWatch, metrics of one's own", 0.30, "metric-month", "cloudwatch"),
    "alarm": Price("CloudWatch, alarms (for each metric)", 0.10, "metric-month", "cloudwatch"),
    "dashboard": Price("CloudWatch, dashboards", 3.00, "dashboard-month", "cloudwatch"),
    "composite": Price("CloudWatch, alarms on alarms", 0.50, "alarm-month", "cloudwatch"),
    "out": Price("data to the internet", 0.09, "GB", "ec2"),
    "kms": Price("KMS, requests (each read of a SecureString)", 3.00, "million", "kms"),
    "key": Price("KMS, keys", 1.00, "key-month", "kms"),
    "secret": Price("Secrets Manager", 0.40, "secret-month", "secrets-manager"),
}
QUOTAS = {
    "ssm": Quota("Parameter Store, default throughput", 40, "reads/s"),
    "concurrency": Quota("Lambda, concurrent executions", 1000, "executions"),
    "writes": Quota("DynamoDB, a new table's writes (40,000 once it has grown)", 4000, "units/s"),
    "reads": Quota("DynamoDB, a new table's reads", 12_000, "units/s"),
}
