"""The list as bytes, shared with the city: manifest, segments, wire form, fingerprint keys."""
