"""`caput PV VALUE`, for hosts without EPICS base."""

import sys

import epics

if __name__ == "__main__":
    pv = epics.PV(sys.argv[1])
    sys.exit(0 if pv.wait_for_connection(10) and pv.put(float(sys.argv[2]), wait=True) else 1)
