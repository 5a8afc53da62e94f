"""Results kept by content: trained first stages, and cells of studies."""
