"""`controlplane tenant ...`, a module a journey: change, look, life, hand-over."""
