"""REANA: a capsule's workflow is sent to a cluster, followed there, and fetched as a run directory of ours.

REANA is spoken to directly, over its REST interface (versions 0.9 and 0.95); its own client is the oracle of the
tests. `connection` is the only place that sends anything, `api` has a method for each call, `translate` makes of our
work what REANA's engine can run, `submission` sends it once, and `taking` reads what came back.
"""
