"""What has to be set in Google Cloud so that buckets notify a Pub/Sub subscription."""
