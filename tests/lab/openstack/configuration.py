"""The services' configuration files: what a site's operators would write, on loopback and SQLite."""

from __future__ import annotations

import base64
import os
import shutil
import uuid
from pathlib import Path

from tests.lab.openstack.layout import CLOUD, HOST, SYSTEM_CLOUD, Site

HOST_NAME = "lab"
COMPUTE_HOSTS = ("compute-1", "compute-2", "compute-3")
"""Hypervisors that pretend: enough to keep servers apart, and to empty one onto the others."""
ADMIN_PASSWORD = "admin"
SERVICE_PASSWORD = "service"
EXTERNAL_PHYSICAL_NETWORK = "public"
TOKEN_CACHE = "lab.token_cache"
"""Where in a WSGI request keystonemiddleware finds the cache of validated tokens."""


def write(site: Site) -> None:
    """Write every configuration file of `site`, its folders, and `clouds.yaml`."""
    folders = ["keystone/fernet-keys", "keystone/credential-keys", "glance/images", "glance/tasks"]
    folders += ["glance/staging", "nova", "neutron", "cinder", "etc", "db", "log", "pid"]
    for folder in folders:
        (site.folder / folder).mkdir(parents=True, exist_ok=True)
    writers = {
        "keystone.conf": keystone,
        "placement.conf": placement,
        "glance-api.conf": glance,
        "neutron.conf": neutron,
        "nova.conf": nova,
        "cinder.conf": cinder,
    }
    for name, text in writers.items():
        (site.etc / name).write_text(text(site))
    (site.folder / "nova" / "compute_id").write_text(node_of(COMPUTE_HOSTS[0]))
    shutil.copy(site.environment / "etc" / "nova" / "api-paste.ini", site.etc)
    for keys in ("fernet-keys", "credential-keys"):
        _make_keys(site.folder / "keystone" / keys)
    site.revocations.touch()
    site.clouds_yaml.write_text(clouds(site))


def node_of(host: str) -> str:
    """The identity of the hypervisor `host`; nova refuses one that comes back with another."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, host))


def _make_keys(folder: Path) -> None:
    """Two Fernet keys, the staged and the primary one, unless the folder has some."""
    folder.chmod(0o700)
    for name in ("0", "1"):
        if not (folder / name).exists():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def clouds(site: Site, *, auth_url: str = "", extra: str = "") -> str:
    """A `clouds.yaml` for the administrator; `extra` is added to each cloud, one indented line each."""

    def cloud(name: str, scope: str) -> str:
        return f"""  {name}:
    auth_type: password
    auth:
      auth_url: {auth_url or site.url("keystone")}
      username: admin
      password: {ADMIN_PASSWORD}
      {scope}
      user_domain_id: default
    region_name: RegionOne
    identity_api_version: "3"
{extra}"""

    project = "project_name: admin\n      project_domain_id: default"
    return "clouds:\n" + cloud(CLOUD, project) + cloud(SYSTEM_CLOUD, "system_scope: all")


def _log(site: Site, name: str) -> str:
    return f"log_file = {site.logs}/{name}.log\nuse_stderr = false\ndefault_log_levels =\n"


def _user(site: Site, user: str) -> str:
    return f"""auth_url = {site.url("keystone")}
auth_type = password
username = {user}
password = {SERVICE_PASSWORD}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
"""


def _tokens(site: Site, user: str) -> str:
    return f"""[keystone_authtoken]
www_authenticate_uri = {site.url("keystone")}
service_token_roles = service
service_token_roles_required = true
cache = {TOKEN_CACHE}
{_user(site, user)}"""


def keystone(site: Site) -> str:
    """Without its own cache keystone is ten times slower; without `fernet_receipts` it leaves its folder."""
    return f"""[DEFAULT]
{_log(site, "keystone")}
[database]
connection = {site.database_url("keystone")}
[token]
provider = fernet
expiration = {site.token_seconds}
[fernet_tokens]
key_repository = {site.folder}/keystone/fernet-keys
[fernet_receipts]
key_repository = {site.folder}/keystone/fernet-keys
[credential]
key_repository = {site.folder}/keystone/credential-keys
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
# The cheapest hash: the lab's passwords protect nothing.
password_hash_rounds = 4
"""


def placement(site: Site) -> str:
    """Placement stores what the hypervisor has and who claimed it."""
    return f"""[DEFAULT]
{_log(site, "placement")}
[api]
auth_strategy = keystone
[placement_database]
connection = {site.database_url("placement")}
{_tokens(site, "placement")}
"""


def glance(site: Site) -> str:
    """Images are files in the lab's folder."""
    return f"""[DEFAULT]
{_log(site, "glance")}
enabled_backends = fs:file
worker_self_reference_url = {site.root_url("glance")}
enabled_import_methods = []
[database]
connection = {site.database_url("glance")}
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {site.images}
[os_glance_tasks_store]
filesystem_store_datadir = {site.folder}/glance/tasks
[os_glance_staging_store]
filesystem_store_datadir = {site.folder}/glance/staging
[paste_deploy]
flavor = keystone
config_file = {site.environment}/etc/glance/glance-api-paste.ini
{_tokens(site, "glance")}
"""


def neutron(site: Site) -> str:
    """Tags, timestamps, revisions and IP availability load by themselves; `router` brings layer 3.

    The quota of RBAC policies counts for the project that shares, which is the provider's own: with the
    default of ten, the eleventh tenant would find no place.
    """
    return f"""[DEFAULT]
{_log(site, "neutron")}
core_plugin = ml2
service_plugins = router
api_paste_config = {site.environment}/etc/neutron/api-paste.ini
transport_url = fake://
state_path = {site.folder}/neutron
host = {HOST_NAME}
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
rpc_workers = 0
rpc_state_report_workers = 0
dhcp_agent_notification = false
global_physnet_mtu = 1500
max_allowed_address_pair = 20
max_routes = 60
[oslo_concurrency]
lock_path = {site.folder}/neutron/lock
[database]
connection = {site.database_url("neutron")}
[quotas]
quota_network = 100
quota_subnet = 100
quota_port = 500
quota_router = 20
quota_floatingip = 50
quota_security_group = 100
quota_security_group_rule = 500
quota_rbac_policy = -1
[ml2]
type_drivers = flat,vlan,vxlan
tenant_network_types = vxlan
mechanism_drivers = openvswitch
extension_drivers = port_security
[ml2_type_flat]
flat_networks = {EXTERNAL_PHYSICAL_NETWORK}
[ml2_type_vxlan]
# One row each is written at the first start: room for thousands of networks, and no more.
vni_ranges = 1:8000
{_tokens(site, "neutron")}
"""


def nova(site: Site) -> str:
    """API, conductor, scheduler and compute share one process, so that `fake://` carries their messages."""
    return f"""[DEFAULT]
{_log(site, "nova")}
transport_url = fake://
state_path = {site.folder}/nova
compute_driver = fake.LabDriver
host = {HOST_NAME}
my_ip = {HOST}
instances_path = {site.folder}/nova/instances
instance_usage_audit = false
service_down_time = 86400
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
[oslo_concurrency]
lock_path = {site.folder}/nova/lock
[database]
connection = {site.database_url("nova")}
[api_database]
connection = {site.database_url("nova_api")}
[api]
auth_strategy = keystone
[scheduler]
discover_hosts_in_cells_interval = 60
[filter_scheduler]
track_instance_changes = false
[conductor]
workers = 1
[vnc]
enabled = false
[cache]
enabled = false
[glance]
{_user(site, "nova")}
[neutron]
{_user(site, "nova")}
[placement]
{_user(site, "nova")}
[cinder]
{_user(site, "nova")}
[service_user]
send_service_user_token = true
{_user(site, "nova")}
[keystone]
{_user(site, "nova")}
{_tokens(site, "nova")}
"""


def cinder(site: Site) -> str:
    """API, scheduler and volume manager share one process; the volumes are rows without bytes."""
    return f"""[DEFAULT]
{_log(site, "cinder")}
transport_url = fake://
state_path = {site.folder}/cinder
api_paste_config = {site.environment}/etc/cinder/api-paste.ini
resource_query_filters_file = {site.environment}/etc/cinder/resource_filters.json
host = {HOST_NAME}
auth_strategy = keystone
enabled_backends = fake
default_volume_type = __DEFAULT__
scheduler_driver_init_wait_time = 60
service_down_time = 86400
glance_api_servers = {site.root_url("glance")}
[fake]
volume_driver = tests.lab.openstack.inside.volume_driver.VolumesWithoutBytes
volume_backend_name = fake
[oslo_concurrency]
lock_path = {site.folder}/cinder/lock
[coordination]
backend_url = file://{site.folder}/cinder/coord
[database]
connection = {site.database_url("cinder")}
[keystone]
{_user(site, "cinder")}
[service_user]
send_service_user_token = true
{_user(site, "cinder")}
{_tokens(site, "cinder")}
"""
