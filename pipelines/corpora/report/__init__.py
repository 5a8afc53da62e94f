"""``jmml data report``: a corpus as one HTML page that needs nothing but itself."""
