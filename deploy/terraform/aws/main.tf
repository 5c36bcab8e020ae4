# Notifications of S3 buckets to an SQS queue: the same configuration as `roomledger notifications s3`.
#
#   module "roomledger_notifications" {
#     source  = "./deploy/terraform/aws"
#     name    = "roomledger-acme"
#     sources = {
#       acme-eu = { bucket = "acme-recordings", prefix = "live/eu" }
#       acme-us = { bucket = "acme-recordings", prefix = "live/us" }
#     }
#   }
#
# Then write the output `queue_url` and the region into a [[queue]] of roomledger.toml, and attach the policy
# `reader_policy_arn` to the role or user that runs Roomledger.
#
# - The provider must be in the region of the buckets, with credentials of their account.
# - S3 has one notification configuration per bucket. This module replaces it, so list all sources of a bucket in one
#   call; if other programs have notifications on the bucket, use `roomledger notifications s3 --apply` instead.
# - The queue has no dead-letter queue on purpose: a rejected message is stored as a refusal in the warehouse and
#   deleted from the queue; a message whose object could not be checked is delivered again.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }
  }
}

variable "name" {
  description = "Name of the queue, and of the topic with via = \"sns\"."
  type        = string
}

variable "sources" {
  description = "Bucket and key prefix of each S3 source, by its name in roomledger.toml."
  type        = map(object({ bucket = string, prefix = optional(string, "") }))

  validation {
    condition     = length(var.sources) > 0 && alltrue([for name in keys(var.sources) : can(regex("^[a-z0-9][a-z0-9_-]*$", name))])
    error_message = "At least one source is needed. A source name has lower-case letters, digits, '-' and '_'."
  }
}

variable "via" {
  description = "Path of an event from the bucket to the queue: sqs (direct), sns or eventbridge."
  type        = string
  default     = "sqs"

  validation {
    condition     = contains(["sqs", "sns", "eventbridge"], var.via)
    error_message = "Use sqs, sns or eventbridge."
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  events  = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
  buckets = toset([for source in var.sources : source.bucket])

  bucket_arns = { for bucket in local.buckets : bucket => "arn:${data.aws_partition.current.partition}:s3:::${bucket}" }

  # A prefix ends with a slash, so that live/eu does not match live/europe.
  prefixes = { for name, source in var.sources : name => source.prefix == "" ? "" : "${trimsuffix(source.prefix, "/")}/" }

  # S3 filters need a space as '+' and other special characters percent-encoded, except these.
  filter_prefixes = {
    for name, prefix in local.prefixes : name => prefix == "" ? null : replace(replace(replace(replace(replace(replace(
      urlencode(prefix), "%2F", "/"), "%21", "!"), "%2A", "*"), "%27", "'"), "%28", "("), "%29", ")"
    )
  }

  # IAM: `*` and `?` are wildcards, `$` opens a variable, and `$${*}` is the character itself.
  iam_prefixes = {
    for name, prefix in local.prefixes : name => replace(replace(replace(prefix, "$", "$${$}"), "*", "$${*}"), "?", "$${?}")
  }

  # A statement id has letters and digits only.
  statement_ids = { for name in keys(var.sources) : name => "Roomledger${replace(replace(name, "-", "H"), "_", "U")}" }

  # Only buckets of this account may send: to the topic with via = "sns", otherwise to the queue.
  bucket_statements = [for name, source in var.sources : {
    Sid       = local.statement_ids[name]
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Action    = var.via == "sns" ? "sns:Publish" : "sqs:SendMessage"
    Resource  = var.via == "sns" ? one(aws_sns_topic.this[*].arn) : aws_sqs_queue.this.arn
    Condition = {
      ArnEquals    = { "aws:SourceArn" = local.bucket_arns[source.bucket] }
      StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
    }
  }]

  # With a topic or rules in between, only these may send to the queue.
  forwarder_statements = [for name in keys(var.sources) : {
    Sid       = local.statement_ids[name]
    Effect    = "Allow"
    Principal = { Service = var.via == "sns" ? "sns.amazonaws.com" : "events.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = aws_sqs_queue.this.arn
    Condition = {
      ArnEquals = { "aws:SourceArn" = var.via == "sns" ? one(aws_sns_topic.this[*].arn) : aws_cloudwatch_event_rule.this[name].arn }
    }
  } if var.via != "sqs"]
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 120
  message_retention_seconds  = 1209600
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.forwarder_statements, [for statement in local.bucket_statements : statement if var.via == "sqs"])
  })
}

resource "aws_sns_topic" "this" {
  count = var.via == "sns" ? 1 : 0
  name  = var.name
}

resource "aws_sns_topic_policy" "this" {
  count  = var.via == "sns" ? 1 : 0
  arn    = aws_sns_topic.this[0].arn
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_statements })
}

resource "aws_sns_topic_subscription" "this" {
  count     = var.via == "sns" ? 1 : 0
  topic_arn = aws_sns_topic.this[0].arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = { for name, source in var.sources : name => source if var.via == "eventbridge" }
  name     = "roomledger-${each.key}"
  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created", "Object Deleted"]
    detail = merge(
      { bucket = { name = [each.value.bucket] } },
      # Keys are not encoded here.
      { for key, prefix in { object = local.prefixes[each.key] } : key => { key = [{ prefix = prefix }] } if prefix != "" }
    )
  })
}

resource "aws_cloudwatch_event_target" "this" {
  for_each  = aws_cloudwatch_event_rule.this
  rule      = each.value.name
  target_id = "roomledger"
  arn       = aws_sqs_queue.this.arn
}

resource "aws_s3_bucket_notification" "this" {
  for_each    = local.buckets
  bucket      = each.key
  eventbridge = var.via == "eventbridge"

  dynamic "queue" {
    for_each = { for name, source in var.sources : name => source if source.bucket == each.key && var.via == "sqs" }
    content {
      id            = "roomledger-${queue.key}"
      queue_arn     = aws_sqs_queue.this.arn
      events        = local.events
      filter_prefix = local.filter_prefixes[queue.key]
    }
  }

  dynamic "topic" {
    for_each = { for name, source in var.sources : name => source if source.bucket == each.key && var.via == "sns" }
    content {
      id            = "roomledger-${topic.key}"
      topic_arn     = aws_sns_topic.this[0].arn
      events        = local.events
      filter_prefix = local.filter_prefixes[topic.key]
    }
  }

  # S3 tests the destination at once, so the policy that allows it must come first.
  depends_on = [aws_sqs_queue_policy.this, aws_sns_topic_policy.this]
}

resource "aws_iam_policy" "reader" {
  name = "${var.name}-reader"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect = "Allow"
        Action = [
          "sqs:ReceiveMessage",
          "sqs:DeleteMessage",
          "sqs:ChangeMessageVisibility",
          "sqs:GetQueueUrl",
          "sqs:GetQueueAttributes",
        ]
        Resource = aws_sqs_queue.this.arn
      }],
      [for name, source in var.sources : {
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.bucket_arns[source.bucket]}/${local.iam_prefixes[name]}*"
      }],
      [for bucket in local.buckets : { Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket_arns[bucket] }]
    )
  })
}

output "queue_url" {
  description = "URL for the [[queue]] of roomledger.toml."
  value       = "sqs://${data.aws_caller_identity.current.account_id}/${aws_sqs_queue.this.name}"
}

output "queue_arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.this.arn
}

output "reader_policy_arn" {
  description = "ARN of the policy for the role or user that runs Roomledger."
  value       = aws_iam_policy.reader.arn
}
