# mypy: ignore-errors
"""The WSGI application of each service, with the workers behind it where it has some.

Nova's and cinder's workers are threads of the API's process: `fake://` carries messages within one
process only. Each writes `<service>.engine` into the processes' folder when it is ready.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.lab.openstack.configuration import COMPUTE_HOSTS, HOST_NAME, node_of
from tests.lab.openstack.layout import Site

PREIMPORTED = {
    "keystone": "keystone.server.wsgi keystone.common.sql.upgrades keystone.cmd.bootstrap",
    "placement": "placement.wsgi placement.cmd.manage",
    "glance": "glance.common.wsgi_app glance.cmd.manage glance.api.v2.router",
    "neutron": "neutron.server.api neutron.db.migration.models.head neutron.plugins.ml2.plugin",
    "nova": "nova.api.openstack.wsgi_app nova.api.openstack.compute.routes nova.compute.manager "
    "nova.conductor.manager nova.scheduler.manager nova.db.migration",
    "cinder": "cinder.wsgi.wsgi cinder.cmd.manage",
}
"""What both the database's making and the service import: paid once, before the fork between them."""


def application(site: Site, name: str):
    """The WSGI application of the service `name`."""
    sys.argv = [f"{name}-api"]  # oslo.config reads it
    return {
        "keystone": _keystone,
        "placement": _placement,
        "glance": _glance,
        "neutron": _neutron,
        "nova": _nova,
        "cinder": _cinder,
    }[name](site)


def _keystone(site: Site):
    from keystone.wsgi.api import application

    return application


def _placement(site: Site):
    from placement.wsgi.api import application

    return application


def _glance(site: Site):
    from glance.wsgi.api import application

    return application


def _neutron(site: Site):
    from neutron import policy
    from neutron.wsgi.api import application

    from tests.lab.openstack.inside import wiring

    policy.init()  # by itself at the first request, and a second one meanwhile finds half the rules: 403
    wiring.answer_for_agents()
    return application


def _nova(site: Site):
    sys.argv = ["nova-api-os-compute"]
    import os_vif
    from nova.wsgi.osapi_compute import application

    from tests.lab.openstack.inside import wakeups

    wakeups.on_message()

    os_vif.initialize()
    _install_hypervisor()
    _in_background(site, "nova", lambda: _nova_workers(site))
    return application


def _install_hypervisor() -> None:
    from nova.compute import power_state, vm_states
    from nova.image import glance
    from nova.virt import fake

    class LabDriver(fake.FakeDriver):
        """The in-memory hypervisor, large, with an identity and guests that outlive a restart."""

        vcpus = 2_000
        memory_mb = 4_000_000

        def get_available_resource(self, nodename):
            return dict(super().get_available_resource(nodename), uuid=node_of(nodename))

        def get_nodenames_by_uuid(self, refresh=False):
            return {node_of(name): name for name in self._nodes}

        def get_info(self, instance, use_cache=True):
            if instance.uuid not in self.instances:
                running = instance.vm_state == vm_states.ACTIVE
                state = power_state.RUNNING if running else power_state.SHUTDOWN
                self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)
            return super().get_info(instance, use_cache)

        def snapshot(self, context, instance, image_id, update_task_state):
            super().snapshot(context, instance, image_id, update_task_state)
            name = images.get(context, image_id)["name"]
            formats = {"container_format": "bare", "disk_format": "raw"}
            content = io.BytesIO(b"a server without bytes\n")
            images.update(context, image_id, {"name": name, "properties": {}, **formats}, content)

    images = glance.API()
    fake.LabDriver = LabDriver  # nova loads drivers by their name within nova.virt


def _nova_workers(site: Site) -> list:
    from nova import context, service
    from nova.compute import rpcapi as compute
    from nova.conductor import rpcapi as conductor
    from nova.objects import host_mapping
    from nova.scheduler import rpcapi as scheduler

    wait_until_answering(site.root_url("placement"))
    wait_until_answering(site.root_url("keystone"))
    workers = []
    computes = [(host, "nova-compute", compute.RPC_TOPIC, compute.RPC_TOPIC_ALT) for host in COMPUTE_HOSTS]
    for host, binary, topic, alternative in (
        (HOST_NAME, "nova-conductor", conductor.RPC_TOPIC, None),
        (HOST_NAME, "nova-scheduler", scheduler.RPC_TOPIC, None),
        *computes,
    ):
        worker = service.Service.create(host=host, binary=binary, topic=topic, topic_alt=alternative)
        worker.start()
        workers.append(worker)
    host_mapping.discover_hosts(context.get_admin_context())
    return workers


def _cinder(site: Site):
    sys.argv = ["cinder-api", "--config-file", str(site.etc / "cinder.conf")]
    from cinder import policy
    from cinder.wsgi.api import application

    from tests.lab.openstack.inside import wakeups

    policy.init()  # as in neutron
    wakeups.on_message()
    _in_background(site, "cinder", _cinder_workers)
    return application


def _cinder_workers() -> list:
    from cinder import context, objects, service
    from oslo_config import cfg

    class LabService(service.Service):
        """Upstream keeps `service_id` on the class: of two services only the last would report."""

        def report_state(self):
            admin = context.get_admin_context()
            own = objects.Service.get_by_id(admin, self.origin_service_id)
            own.report_count += 1
            own.save(retry=False)

    cfg.CONF.register_opt(cfg.StrOpt("backend_host"), group="fake")
    scheduler = LabService.create(binary="cinder-scheduler")
    volume = LabService.create(host="lab@fake", service_name="fake", binary="cinder-volume")
    waiting = threading.Thread(target=scheduler.start)  # returns once it has heard from a volume service
    waiting.start()
    time.sleep(0.2)
    volume.start()
    admin, hosts = context.get_admin_context(), scheduler.manager.driver.host_manager
    while not (hosts.has_all_capabilities() and hosts.get_pools(admin)):
        volume.manager.publish_service_capabilities(admin)
        time.sleep(0.1)
    waiting.join()
    return [scheduler, volume]


_kept: list = []  # the workers live as long as the process


def _in_background(site: Site, name: str, work: Callable[[], list]) -> None:
    def run() -> None:
        try:
            _kept.extend(work())
            (site.processes / f"{name}.engine").write_text("ready\n")
        except BaseException:
            traceback.print_exc()
            os._exit(3)  # an API without its workers would only look alive

    threading.Thread(target=run, daemon=True).start()


def wait_until_answering(url: str, seconds: float = 120) -> None:
    """Wait until `url` answers anything below 500; TimeoutError after `seconds`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            opener.open(url, timeout=5).read()
            return
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"no answer from {url} in {seconds:.0f} s")
