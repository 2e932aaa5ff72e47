"""Where content comes from: Debian, PyPI, OCI registries and the release engineer's own files.

Each source does two things. It *locks*: it says which files the recipe means, each by path, SHA-256, size
and type. And it *fetches*: it brings exactly those into the cache. Upstreams are reached only through the
machine's own apt, pip and skopeo, with the mirrors, proxies and credentials that are configured there.
"""
