"""NeXus files: NXmx, and the master files of EIGER detectors before it."""
