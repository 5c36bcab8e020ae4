"""A stand-in for Google Pub/Sub on a loopback port: topics, subscriptions and who has been lent which message.

It speaks Pub/Sub's own protocol with Google's own message types, as far as publishing and pulling go. What is not
acknowledged comes again. Everything is kept in memory. `python -m sandbox.servers.pubsub --help` tells how to run
it as a process of its own; `sandbox.servers.pubsub.server` runs it in threads.
"""
