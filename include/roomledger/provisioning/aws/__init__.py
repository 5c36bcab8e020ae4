"""What has to be set in AWS so that S3 buckets notify a queue."""
