"""A cloud in memory: enough of OpenStack to plan against, and strict about the order of what is done.

For properties of pure code only. It proves nothing about OpenStack: the lab does. Its answers have the
shapes of the real services (Keystone, Neutron, Nova, Cinder and Glance of the lab), and it refuses what they
refuse; beyond that it refuses to delete anything on which something else still hangs, so that a wrong order
shows.

`tables` is what there is; `making`, `changing` and `removing` are what can be done to it; `cloud` puts these
together as the port of an apply; `world` adds what the plane keeps of a tenant.
"""
