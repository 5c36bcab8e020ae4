"""The endpoint that receives the vendor's webhooks: it authenticates, redacts, and answers once the event is durable.

It does not decode events and needs no warehouse: the pipeline decodes them when it reads the inbox.
"""
