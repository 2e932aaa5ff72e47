# mypy: ignore-errors
"""Make each service's database from nothing: its schema, and the rows it cannot start without."""

from __future__ import annotations

import datetime
import importlib.util
import json
import sqlite3
import sys
import uuid
from pathlib import Path

from tests.lab.openstack.configuration import (
    ADMIN_PASSWORD,
    COMPUTE_HOSTS,
    EXTERNAL_PHYSICAL_NETWORK,
    SERVICE_PASSWORD,
)
from tests.lab.openstack.layout import HOST, SERVICES, Site

REGION = "RegionOne"


def create(site: Site, name: str) -> None:
    """Create the database of the service `name`; its configuration file is there already."""
    {
        "keystone": _keystone,
        "placement": _placement,
        "glance": _glance,
        "neutron": _neutron,
        "nova": _nova,
        "cinder": _cinder,
    }[name](site)


def _keystone(site: Site) -> None:
    import keystone.conf
    from keystone.cmd.bootstrap import Bootstrapper
    from keystone.common import provider_api, sql
    from keystone.common.sql import upgrades
    from oslo_log import log

    keystone.conf.configure()
    log.register_options(keystone.conf.CONF)
    sql.initialize()
    keystone.conf.CONF(project="keystone", args=[], default_config_files=[str(site.etc / "keystone.conf")])
    keystone.conf.setup_logging()
    upgrades.offline_sync_database_to_version()
    first = Bootstrapper()
    first.admin_username, first.admin_password, first.project_name = "admin", ADMIN_PASSWORD, "admin"
    first.admin_role_name = "admin"
    first.service_name, first.region_id = "keystone", REGION
    first.public_url = first.internal_url = first.admin_url = site.url("keystone")
    first.immutable_roles = True
    first.bootstrap()
    apis = provider_api.ProviderAPIs
    project = uuid.uuid4().hex
    apis.resource_api.create_project(
        project,
        {"id": project, "name": "service", "domain_id": "default", "enabled": True, "description": ""},
    )
    for service in SERVICES.values():
        if service.name != "keystone":
            user = apis.identity_api.create_user(
                {"name": service.name, "password": SERVICE_PASSWORD, "domain_id": "default", "enabled": True}
            )
            for role in (first.admin_role_id, first.service_role_id):
                apis.assignment_api.add_role_to_user_and_project(user["id"], project, role)
            _catalog(apis.catalog_api, service, site.url(service.name))


def _catalog(catalog, service, url: str) -> None:
    key = uuid.uuid4().hex
    catalog.create_service(
        key, {"id": key, "type": service.type, "name": service.name, "enabled": True, "description": ""}
    )
    for interface in ("public", "internal", "admin"):
        endpoint = {"id": uuid.uuid4().hex, "service_id": key, "region_id": REGION}
        endpoint |= {"interface": interface, "url": url, "enabled": True}
        catalog.create_endpoint(endpoint["id"], endpoint)


def _placement(site: Site) -> None:
    from placement.cmd import manage

    sys.argv = ["placement-manage", "--config-file", str(site.etc / "placement.conf"), "db", "sync"]
    manage.main()


def _glance(site: Site) -> None:
    from glance.cmd import manage

    sys.argv = ["glance-manage", "--config-file", str(site.etc / "glance-api.conf"), "db_sync"]
    manage.main()


def _cinder(site: Site) -> None:
    from cinder.cmd import manage

    sys.argv = ["cinder-manage", "--config-file", str(site.etc / "cinder.conf"), "db", "sync"]
    manage.main()


def _neutron(site: Site) -> None:
    """Neutron's migrations alter constraints, which SQLite cannot, and one of them is MySQL's alone.

    So the schema comes from the models, as in neutron's own unit tests, stamped with both heads; the
    only rows that a migration would have added, the template of a new security group, follow.
    """
    import sqlalchemy
    from neutron.db.migration.alembic_migrations import versions
    from neutron.db.migration.models import head

    engine = sqlalchemy.create_engine(site.database_url("neutron"))
    head.get_metadata().create_all(engine)
    folder = Path(next(iter(versions.__path__)))
    (template,) = folder.glob("2023.2/expand/c33da356b165*.py")
    spec = importlib.util.spec_from_file_location("security_group_default_rules", template)
    migration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    tables = head.get_metadata().tables
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        for name in ("EXPAND_HEAD", "CONTRACT_HEAD"):
            stamp = sqlalchemy.text("INSERT INTO alembic_version VALUES (:head)")
            connection.execute(stamp, {"head": (folder / name).read_text().strip()})
        for rule in migration.default_template_rules:
            attributes = connection.execute(
                tables["standardattributes"]
                .insert()
                .values(description=rule.pop("description"), resource_type=migration.table_name)
            )
            key = attributes.inserted_primary_key[0]
            connection.execute(tables[migration.table_name].insert().values(standard_attr_id=key, **rule))
        for host in COMPUTE_HOSTS:
            connection.execute(tables["agents"].insert().values(**_immortal_agent(host)))


def _immortal_agent(host: str) -> dict:
    """An L2 agent that will never be late, so that the real openvswitch driver binds ports to `host`."""
    far = datetime.datetime(2199, 1, 1)
    return {
        "id": str(uuid.uuid4()),
        "agent_type": "Open vSwitch agent",
        "binary": "neutron-openvswitch-agent",
        "topic": "N/A",
        "host": host,
        "admin_state_up": True,
        "created_at": far,
        "started_at": far,
        "heartbeat_timestamp": far,
        "description": "lab",
        "load": 0,
        "availability_zone": "nova",
        "configurations": json.dumps(
            {
                "bridge_mappings": {EXTERNAL_PHYSICAL_NETWORK: "br-ex"},
                "tunnel_types": ["vxlan"],
                "tunneling_ip": HOST,
                "devices": 0,
                "l2_population": False,
                "datapath_type": "system",
                "ovs_capabilities": {},
                "in_distributed_mode": False,
            }
        ),
    }


def _nova(site: Site) -> None:
    import nova.conf
    from nova import config, context, objects
    from nova.db import migration
    from oslo_log import log

    sys.argv = ["nova-manage"]
    config.parse_args(["nova", "--config-file", str(site.etc / "nova.conf")])
    log.setup(nova.conf.CONF, "nova")
    objects.register_all()
    migration.db_sync(None, database="api")
    admin = context.get_admin_context()
    cells = (
        (objects.CellMapping.CELL0_UUID, "cell0", "none:///", "nova_cell0"),
        ("00000000-0000-0000-0000-000000000001", "cell1", "fake://", "nova"),
    )
    for key, name, transport, database in cells:
        cell = objects.CellMapping(admin, uuid=key, name=name, transport_url=transport)
        cell.database_connection = site.database_url(database)
        cell.create()
    with context.target_cell(admin, cell) as in_cell:
        migration.db_sync(None, context=in_cell)
    # Both cells have the same schema: migrating one and copying it saves seconds.
    source, target = sqlite3.connect(site.database("nova")), sqlite3.connect(site.database("nova_cell0"))
    source.backup(target)
    source.close()
    target.close()
