"""The peers that tests and benchmarks talk to: a carrier (sipp), phones (baresip), a scripted phone of our own
(``caller``, for menus, queues and transfers), a raw probe, a running Earwitness.

Nothing here knows the inside of Earwitness; it is driven as a customer drives it, over SIP, RTP, HTTP and signals.
"""
