"""What runs inside the OpenStack environment: these modules import nova, neutron and their kin."""
