"""Where a workflow executes: `local` is our own engine; `yadage` drives upstream in an environment of its own."""
