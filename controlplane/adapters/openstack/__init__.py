"""OpenStack through openstacksdk: the only door outward to a cloud."""

from controlplane.adapters.openstack.cloud import OpenStack
from controlplane.adapters.openstack.connection import RequestSeen
from controlplane.adapters.openstack.retry import RetryPolicy

__all__ = ["OpenStack", "RequestSeen", "RetryPolicy"]
