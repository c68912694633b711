"""What builds and runs an image; the only importer of the Engine API's client."""
