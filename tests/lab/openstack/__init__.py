"""A real small OpenStack on loopback; see `python -m tests.lab openstack --help`.

`layout` is where its parts are, `configuration` what they are told, `processes` how they start and stop,
`facilities` what its provider offers, `golden` how a new one starts from a copy, `inside` what runs in the
services' own environment.
"""
