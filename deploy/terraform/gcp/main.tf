# Notifications of GCS buckets to a Pub/Sub subscription: the same configuration as `roomledger notifications gcs`.
#
#   module "roomledger_notifications" {
#     source  = "./deploy/terraform/gcp"
#     project = "acme-prod"
#     name    = "roomledger-acme"
#     reader  = "serviceAccount:roomledger@acme-prod.iam.gserviceaccount.com"
#     sources = {
#       acme-us = { bucket = "acme-recordings-us", prefix = "live" }
#       acme-in = { bucket = "acme-recordings-in", prefix = "live" }
#     }
#   }
#
# Then write the output `queue_url` into a [[queue]] of roomledger.toml.
#
# - Notifications of other programs on the buckets stay.
# - The subscription has no dead-letter topic on purpose: a rejected message is stored as a refusal in the warehouse and
#   acknowledged; a message whose object could not be checked is delivered again.

terraform {
  required_version = ">= 1.3"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

variable "project" {
  description = "Project of the topic and the subscription; the buckets may be in others."
  type        = string
}

variable "name" {
  description = "Name of the topic and the subscription."
  type        = string
}

variable "reader" {
  description = "IAM member that receives the messages and reads the objects, such as serviceAccount:name@project.iam.gserviceaccount.com."
  type        = string
}

variable "sources" {
  description = "Bucket and name prefix of each GCS source, by its name in roomledger.toml."
  type        = map(object({ bucket = string, prefix = optional(string, "") }))

  validation {
    condition     = length(var.sources) > 0
    error_message = "At least one source is needed."
  }
}

locals {
  buckets = toset([for source in var.sources : source.bucket])

  # A prefix ends with a slash, so that live/eu does not match live/europe.
  prefixes = { for name, source in var.sources : name => source.prefix == "" ? null : "${trimsuffix(source.prefix, "/")}/" }
}

data "google_storage_bucket" "this" {
  for_each = local.buckets
  name     = each.key
}

# Reading the storage service agent of a project creates it when it does not exist yet.
data "google_storage_project_service_account" "this" {
  for_each = local.buckets
  project  = data.google_storage_bucket.this[each.key].project_number
}

resource "google_pubsub_topic" "this" {
  project = var.project
  name    = var.name
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.buckets
  project  = var.project
  topic    = google_pubsub_topic.this.id
  role     = "roles/pubsub.publisher"
  member   = "serviceAccount:${data.google_storage_project_service_account.this[each.key].email_address}"
}

resource "google_pubsub_subscription" "this" {
  project                      = var.project
  name                         = var.name
  topic                        = google_pubsub_topic.this.id
  ack_deadline_seconds         = 120
  message_retention_duration   = "604800s"
  enable_exactly_once_delivery = false

  # The subscription never expires.
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription_iam_member" "reader" {
  project      = var.project
  subscription = google_pubsub_subscription.this.id
  role         = "roles/pubsub.subscriber"
  member       = var.reader
}

resource "google_storage_bucket_iam_member" "reader" {
  for_each = local.buckets
  bucket   = each.key
  role     = "roles/storage.objectViewer"
  member   = var.reader
}

resource "google_storage_notification" "this" {
  for_each           = var.sources
  bucket             = each.value.bucket
  topic              = google_pubsub_topic.this.id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE", "OBJECT_DELETE"]
  object_name_prefix = local.prefixes[each.key]

  # GCS checks that its service agent may publish.
  depends_on = [google_pubsub_topic_iam_member.publisher]
}

output "queue_url" {
  description = "URL for the [[queue]] of roomledger.toml."
  value       = "pubsub://${var.project}/${google_pubsub_subscription.this.name}"
}
