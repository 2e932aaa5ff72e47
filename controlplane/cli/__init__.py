"""The command line. It calls the plane through `controlplane.client` and knows nothing below that."""
