"""The endpoint that takes the vendor's webhooks: authenticated, without their secrets, and durable before the answer.

It does not look at what an event says and needs no warehouse: that is for whoever takes it out of the inbox.
"""
