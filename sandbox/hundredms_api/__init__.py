"""A stand-in for the vendor's REST API: a real HTTP server that tells invented workspaces, and fails when asked to."""

from sandbox.hundredms_api.faults import Faults
from sandbox.hundredms_api.server import Vendor, vendor_server

__all__ = ["Faults", "Vendor", "vendor_server"]
