"""Specs for tests that break things: one tenant in two versions that differ in every way a plan can."""

from __future__ import annotations

MANAGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIByJNXbFBx3AqOiRkF7k+d/zM1wPu5LnX4pVHtQhFLGb"


def first(name: str) -> str:
    """Two projects, a few of every kind."""
    return f"""\
tenant: {name}
governance: {{owner: Crash Test, cost_centre: "1", classification: internal, valid_until: 2099-12-31}}
groups: [{{name: staff}}]
users:
  - name: boss
    tenant_manager: true
    public_key: {MANAGER}
    groups: [staff]
    application_credentials: [{{name: ci, project: prod, roles: [member]}}]
  - {{name: worker, groups: [staff]}}
assignments:
  - {{role: member, group: staff, project: prod}}
  - {{role: member, user: boss, project: prod}}
projects:
  - name: prod
    quota: {{class: small}}
    networks:
      - name: front
        subnets: [{{name: web, pool: tenant-space, prefix_length: 28}}]
      - name: back
        share_with: [dev]
        subnets: [{{name: db, cidr: 192.168.7.0/24}}]
    routers:
      - {{name: edge, external: public, interfaces: [front/web, back/db]}}
    security_groups:
      - name: web
        rules: [{{protocol: tcp, ports: 443, cidr: 0.0.0.0/0}}, {{protocol: tcp, ports: 80, group: web}}]
      - {{name: db, egress: deny, rules: [{{protocol: tcp, ports: 5432, group: web}}]}}
    server_groups: [{{name: spread, policy: soft-anti-affinity}}]
  - name: dev
    quota: {{class: small}}
flavors:
  - {{name: {name}.big, vcpus: 2, ram_mib: 2048, disk_gib: 10, projects: [prod]}}
"""


def second(name: str) -> str:
    """The same tenant with things added, changed, replaced and removed."""
    return f"""\
tenant: {name}
governance: {{owner: Crash Test, cost_centre: "2", classification: restricted, valid_until: 2099-12-31}}
groups: [{{name: staff, description: All of them}}]
users:
  - name: boss
    tenant_manager: true
    public_key: {MANAGER}
    groups: [staff]
    application_credentials: [{{name: ci, project: prod, roles: [reader]}}]
  - {{name: newcomer, groups: [staff]}}
assignments:
  - {{role: member, group: staff, project: prod}}
  - {{role: member, user: boss, project: prod}}
projects:
  - name: prod
    description: Grown
    quota: {{class: medium}}
    networks:
      - name: front
        description: Renewed
        subnets: [{{name: web, pool: tenant-space, prefix_length: 27}}]
      - name: store
        subnets: [{{name: db, cidr: 192.168.7.0/24, gateway: none}}]
    routers:
      - {{name: edge, external: public, interfaces: [front/web]}}
    security_groups:
      - {{name: web, rules: [{{protocol: tcp, ports: 8443, cidr: 0.0.0.0/0}}]}}
    server_groups: [{{name: spread, policy: anti-affinity}}]
  - name: test
    quota: {{class: small}}
    networks: [{{name: lab, subnets: [{{name: main, cidr: 10.1.0.0/24}}]}}]
flavors:
  - {{name: {name}.big, vcpus: 4, ram_mib: 4096, disk_gib: 10, projects: [prod, test]}}
"""
