"""OpenStack through openstacksdk: the only door outward to a cloud."""

from controlplane.adapters.openstack.cloud import OpenStack
from controlplane.adapters.openstack.retry import RetryPolicy
from controlplane.adapters.openstack.wire import RequestSeen

__all__ = ["OpenStack", "RequestSeen", "RetryPolicy"]
