# mypy: ignore-errors
"""A volume backend that says yes to everything and stores nothing."""

from __future__ import annotations

from cinder.volume import driver

CAPACITY_GB = 500_000


class VolumesWithoutBytes(driver.VolumeDriver):
    """Cinder's own database is all there is of a volume."""

    VERSION = "1.0"

    def do_setup(self, context) -> None:
        """Nothing to set up."""

    def check_for_setup_error(self) -> None:
        """Nothing can be wrong."""

    def get_volume_stats(self, refresh=False):
        """One pool."""
        pool = {
            "pool_name": "fake",
            "total_capacity_gb": CAPACITY_GB,
            "free_capacity_gb": CAPACITY_GB,
            "reserved_percentage": 0,
            "QoS_support": False,
            "multiattach": True,
            "thin_provisioning_support": True,
            "max_over_subscription_ratio": 20.0,
        }
        self._stats = {
            "volume_backend_name": "fake",
            "vendor_name": "lab",
            "driver_version": self.VERSION,
            "storage_protocol": "fake",
            "pools": [pool],
        }
        return self._stats

    def _nothing(self, *arguments, **named) -> None:
        return None

    create_volume = delete_volume = extend_volume = create_snapshot = _nothing
    delete_snapshot = create_volume_from_snapshot = create_cloned_volume = _nothing
    ensure_export = create_export = remove_export = _nothing
    create_export_snapshot = remove_export_snapshot = terminate_connection = _nothing
    copy_image_to_volume = copy_volume_to_image = _nothing

    def initialize_connection(self, volume, connector, **named):
        """How a hypervisor would reach the volume."""
        return {"driver_volume_type": "fake", "data": {"volume_id": volume.id}}
