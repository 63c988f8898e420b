"""A capsule as one file: what its bytes must be, as a zip and as a tar file, and how its members are read in place."""
