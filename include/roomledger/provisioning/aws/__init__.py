"""Notifications of S3 buckets to an SQS queue."""
