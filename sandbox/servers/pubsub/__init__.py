"""A Google Pub/Sub emulator on a loopback port: topics, subscriptions and leased messages, in memory.

It implements publishing and pulling of the Pub/Sub protocol with Google's message types. Messages that are not
acknowledged are delivered again. `python -m sandbox.servers.pubsub` runs it as a process, see `--help`;
`sandbox.servers.pubsub.server` runs it in threads.
"""
