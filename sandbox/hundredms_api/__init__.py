"""The simulated 100ms REST API: a real HTTP server that serves invented workspaces, with faults that tests inject."""

from sandbox.hundredms_api.faults import Faults
from sandbox.hundredms_api.server import Vendor, vendor_server

__all__ = ["Faults", "Vendor", "vendor_server"]
