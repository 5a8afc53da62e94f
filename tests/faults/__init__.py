"""Faults done for real to sweeps of the real command line, and what must hold after `jmml sweep resume`."""
