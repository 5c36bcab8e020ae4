"""Notifications of GCS buckets to a Pub/Sub subscription."""
