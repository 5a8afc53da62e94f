"""The charts of a sweep's report, drawn as SVG."""
